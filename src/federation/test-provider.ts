import type { ProviderSettings } from './provider-settings.ts';

/** The path of its pages on the HTTP listener. */
export const TEST_PROVIDER_PATH = '/dev/provider';

const LOOPBACK = ['http://localhost', 'http://127.0.0.1', 'http://[::1]'];
/** The page to try the service with, and an address for pages and apps of one's own: on any port. */
const PATHS = ['/dev/app', '/callback'];

/** The settings of the provider that takes people at their word, on the HTTP listener of this replica. */
export function testProviderAt(httpAddress: string): ProviderSettings {
  return {
    id: 'test',
    preset: 'oidc',
    displayName: 'Test provider',
    issuer: `http://${httpAddress}${TEST_PROVIDER_PATH}`,
    clientId: 'countersign',
    clientSecret: undefined,
    redirectUris: PATHS.flatMap((path) => LOOPBACK.map((origin) => origin + path)),
    scopes: ['openid', 'email', 'profile'],
    signUp: true,
    autoLink: false,
    trustEmail: false,
    mfaAmr: [],
    mfaAcr: [],
  };
}
