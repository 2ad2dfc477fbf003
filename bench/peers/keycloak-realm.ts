import { PASSWORD } from '../service/passwords.ts';
import { loginEmail, PEOPLE } from './people.ts';

/** The client of both realms. */
export const BENCH_CLIENT = { id: 'bench', secret: 'secret-of-the-bench' };

/** Keycloak's refresh tokens work again and again by default. In the realm `once` they don't. */
export const REALMS = ['reusable', 'once'] as const;
export type Realm = (typeof REALMS)[number];

const HOURS_S = 2 * 3600;

/** Returns a realm as Keycloak imports it: one client, and the people who sign in. */
export function realmFile(realm: Realm): string {
  return JSON.stringify({
    realm,
    enabled: true,
    sslRequired: 'none',
    passwordPolicy: 'hashAlgorithm(argon2)',
    revokeRefreshToken: realm === 'once',
    refreshTokenMaxReuse: 0,
    accessTokenLifespan: HOURS_S,
    ssoSessionIdleTimeout: HOURS_S,
    ssoSessionMaxLifespan: HOURS_S,
    clients: [
      {
        clientId: BENCH_CLIENT.id,
        secret: BENCH_CLIENT.secret,
        enabled: true,
        publicClient: false,
        serviceAccountsEnabled: true,
        directAccessGrantsEnabled: true,
        standardFlowEnabled: false,
      },
    ],
    users: Array.from({ length: PEOPLE }, (_, person) => ({
      username: loginEmail(person),
      email: loginEmail(person),
      emailVerified: true,
      firstName: 'Bench',
      lastName: String(person),
      enabled: true,
      credentials: [{ type: 'password', value: PASSWORD }],
    })),
  });
}
