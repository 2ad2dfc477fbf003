import { newKey, verify } from '../../api-keys/keys.ts';
import { accountOf, signedIn } from '../../harness/people.ts';
import type { Service } from '../../harness/service.ts';
import type { Expected, Script } from './script.ts';

const checks = (kind: string, result: string, source: string, by: number): Expected => [
  'countersign_token_checks_total',
  { kind, result, source },
  by,
];

const limits = (policy: string, decision: string, by: number): Expected => [
  'countersign_rate_limit_decisions_total',
  { policy, decision },
  by,
];

async function introspect({ sessions }: Service, token: string, times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) await sessions.introspectToken({ token });
}

export const credentialScripts: readonly Script[] = [
  {
    does: 'count checks of access tokens: known and unknown ones, revoked and malformed ones',
    async run(service) {
      const { accessToken, refreshToken } = await signedIn(service);
      await introspect(service, accessToken, 4);
      await accountOf(service, { accessToken }).getMe({});
      await service.auth.logout({ refreshToken });
      await introspect(service, accessToken, 2);
      await introspect(service, 'malformed', 3);
      return [
        checks('access_token', 'valid', 'signature', 1),
        checks('access_token', 'valid', 'memory', 4),
        checks('access_token', 'revoked', 'memory', 2),
        checks('access_token', 'invalid', 'memory', 3),
      ];
    },
  },
  {
    does: 'count checks of API keys: known and unknown ones, sufficient and not, with a limit',
    async run(service) {
      const owner = await signedIn(service);
      const { secret } = await newKey(service, owner);
      for (let i = 0; i < 3; i += 1) await verify(service, secret);
      await verify(service, { secret, requiredScopes: ['users.read'] });
      await verify(service, 'x');
      const rateLimit = { requests: 1, per: { seconds: 3600n } };
      const limited = await newKey(service, owner, { rateLimit });
      for (let i = 0; i < 3; i += 1) await verify(service, limited.secret);
      return [
        checks('api_key', 'valid', 'database', 2),
        checks('api_key', 'valid', 'memory', 2),
        checks('api_key', 'scope_missing', 'memory', 1),
        checks('api_key', 'unknown_key', 'memory', 1),
        checks('api_key', 'rate_limited', 'memory', 2),
        limits('api_key', 'allowed', 1),
        limits('api_key', 'limited', 2),
      ];
    },
  },
];
