import type { ProviderSettings } from '../federation/provider-settings.ts';
import { discoveryOf, documentAt, objectIn } from './documents.ts';
import { type Finding, findings, nameOf, type Sentences } from './finding.ts';

export const PROVIDERS = {
  'providers.none': { state: 'ok', says: 'none' },
  'providers.ok': { state: 'ok', says: '{id} answers at {host}' },
  'providers.away': {
    state: 'failure',
    says: '{id} does not answer at {host}: {error}; nobody can sign in with it',
    todo: 'look at whether this machine may reach it: DNS, proxies, network policies',
  },
  'providers.discovery': {
    state: 'failure',
    says: '{id} has no discovery document: status {status}',
    todo: 'correct the issuer of the provider; its own documentation writes it as `issuer`',
  },
  'providers.issuer': {
    state: 'failure',
    says: "{id}'s discovery document names another issuer: {named}",
    todo: 'write the issuer as the document does, up to the last slash',
  },
} as const satisfies Sentences;

const say = findings(PROVIDERS);

/** Whether people can be sent to each identity provider. */
export async function checkProviders(
  providers: readonly ProviderSettings[],
  signal: AbortSignal,
): Promise<Finding[]> {
  if (providers.length === 0) return [say('providers.none')];
  return Promise.all(providers.map((each) => checkProvider(each, signal)));
}

async function checkProvider(
  { id, issuer, preset }: ProviderSettings,
  signal: AbortSignal,
): Promise<Finding> {
  const { host } = new URL(issuer);
  try {
    // GitHub has no discovery, and any answer of it is one.
    if (preset === 'github') {
      const { ms } = await documentAt(new URL(issuer).origin, signal);
      return say('providers.ok', { id, host }, ms);
    }
    const { status, text, ms } = await documentAt(discoveryOf(issuer), signal);
    if (status !== 200) return say('providers.discovery', { id, status });
    const named = String(objectIn(text)['issuer'] ?? 'none').slice(0, 200);
    if (named !== issuer) return say('providers.issuer', { id, named });
    return say('providers.ok', { id, host }, ms);
  } catch (error) {
    const name = signal.aborted ? 'no answer within 3 s' : nameOf(error);
    return say('providers.away', { id, host, error: name });
  }
}
