import { appCode, challenged, enrolled } from '../../authenticator-app.ts';
import { createAccount, PASSWORD, signedIn, signIn } from '../../harness/people.ts';
import { refusal } from '../../harness/refusal.ts';
import type { Service } from '../../harness/service.ts';
import type { Expected, Script } from './script.ts';

const signIns = (method: string, outcome: string, reason: string, by: number): Expected => [
  'countersign_sign_ins_total',
  { method, outcome, reason },
  by,
];
const refreshes = (outcome: string, reason: string, by: number): Expected => [
  'countersign_refreshes_total',
  { outcome, reason },
  by,
];
/** At least: they join the chain a little later, so those of an earlier script may be among them. */
const events = (type: string, outcome: string, least: number): Expected => [
  'countersign_audit_events_total',
  { type, outcome },
  (count) => count >= least,
];

const complete = ({ auth }: Service, challengeToken: string, value: string) =>
  auth.completeMfa({ challengeToken, factor: { case: 'totpCode', value } });

export const signInScripts: readonly Script[] = [
  {
    does: 'count sign-ins by password, right and wrong ones, and the lock that follows',
    async run(service) {
      const email = await createAccount(service);
      for (let i = 0; i < 2; i += 1) await signIn(service, email);
      for (let i = 0; i < 5; i += 1) await refusal(signIn(service, email, `${PASSWORD}${i}`));
      return [
        signIns('password', 'success', '', 2),
        signIns('password', 'failure', 'INVALID_CREDENTIALS', 5),
        ['countersign_lockouts_total', { factor: 'password' }, 1],
        events('session.created', 'success', 2),
        events('sign_in.failed', 'failure', 5),
        events('account.locked', 'failure', 1),
        ['countersign_audit_chain_broken', {}, (broken) => broken === 0],
      ];
    },
  },
  {
    does: 'count sign-ins with a second factor, and those by other means that fail',
    async run(service) {
      const { email, secret } = await enrolled(service);
      const { challengeToken } = await challenged(service, email);
      await refusal(complete(service, challengeToken, '000000'));
      await complete(service, challengeToken, appCode(secret, service.clock.now()));
      await refusal(service.auth.finishPasskeyLogin({ credentialJson: '{}' }));
      return [
        signIns('password', 'challenged', '', 1),
        signIns('second_factor', 'failure', 'MFA_CODE_INVALID', 1),
        signIns('second_factor', 'success', '', 1),
        signIns('passkey', 'failure', 'MFA_CODE_INVALID', 1),
      ];
    },
  },
  {
    does: 'count refreshes, and a token that is presented again',
    async run(service) {
      const { refreshToken: first } = await signedIn(service);
      const refresh = async (refreshToken: string) =>
        (await service.auth.refreshToken({ refreshToken })).tokens?.refreshToken ?? '';
      await refresh(await refresh(first));
      await refusal(refresh(first));
      await refusal(refresh('malformed'));
      return [
        refreshes('success', '', 2),
        refreshes('failure', 'REFRESH_TOKEN_REUSED', 1),
        refreshes('failure', 'TOKEN_INVALID', 1),
        events('session.refresh_token_reused', 'failure', 1),
      ];
    },
  },
];
