import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { appCode } from '../authenticator-app.ts';
import { FakeProvider } from '../federation/fake-provider.ts';
import { REDIRECT } from '../federation/peer.ts';
import { addProviders } from '../federation/people.ts';
import { noteSecret } from '../harness/logs.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  accountOf,
  isActive,
  NEW_PASSWORD,
  newEmail,
  PASSWORD,
  signedIn,
  signIn,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { THIEF_ORDERS } from '../harness/scale.ts';
import { PATIENT, type Service } from '../harness/service.ts';
import { Authenticator } from '../passkeys/authenticator.ts';
import { register, signInByPasskey, startPasskeyService } from '../passkeys/people.ts';
import { PHRASES, reset } from '../passwords/reset.ts';
import { changeToken } from './moved.ts';

/** How many owners are robbed at a time: most of a walk is waiting for mail and for refusals. */
const AT_ONCE = 8;
const THIEFS_PASSWORD = PHRASES[1] ?? '';

let service: Service;
let provider: FakeProvider;

before(async () => {
  // Other tests cover earlier passwords.
  service = await startPasskeyService({ env: { ...PATIENT, COUNTERSIGN_PASSWORD_HISTORY: '0' } });
  provider = await FakeProvider.start();
  addProviders(service, [provider.settings()]);
});

type Step = 'app' | 'passkey' | 'key' | 'address' | 'password' | 'identity';

/** What the thief has by now, and who has been mailed what. */
type Theft = {
  accessToken: string;
  /** The mailbox that the account's mail goes to. */
  mailbox: string;
  readonly to: string;
  readonly passkey: Authenticator;
  /** At the provider. */
  readonly subject: string;
  apiKey: string;
  /** The links of the notices to the owner, the oldest first, and of all mail to the thief. */
  readonly owners: string[];
  readonly thiefs: string[];
};

const tokenOf = async (to: string, subject: RegExp) =>
  tokenIn(await service.mail.next(to, subject)) ?? '';

/** What the thief does, and the mail that reports it. */
const steps: Record<Step, { does: (theft: Theft) => Promise<void>; told?: RegExp }> = {
  app: {
    async does(theft) {
      const account = accountOf(service, theft);
      const { secret } = await account.beginTotpEnrollment({});
      const code = appCode(secret, service.clock.now());
      const { recoveryCodes } = await account.confirmTotpEnrollment({ code });
      for (const each of recoveryCodes) noteSecret(each);
    },
    told: /Two-step sign-in was turned on/,
  },
  passkey: {
    async does(theft) {
      await register(service, theft, theft.passkey, 'Spare');
    },
    told: /A passkey was added/,
  },
  key: {
    async does(theft) {
      const keys = service.client(ApiKeyService, 'grpc', theft.accessToken);
      theft.apiKey = (await keys.createApiKey({ displayName: 'back door' })).secret;
    },
  },
  address: {
    async does(theft) {
      const token = await changeToken(service, theft, theft.to);
      await accountOf(service, theft).confirmEmailChange({ token });
    },
    told: /address was changed/,
  },
  password: {
    async does(theft) {
      await accountOf(service, theft).changePassword({
        currentPassword: PASSWORD,
        newPassword: THIEFS_PASSWORD,
      });
    },
    told: /password was changed/,
  },
  identity: {
    async does(theft) {
      const account = accountOf(service, theft);
      const begun = await account.startIdentityLink({ provider: 'fake', redirectUri: REDIRECT });
      await account.finishIdentityLink(visited(begun, theft));
    },
    told: /Another way to sign in was added/,
  },
};

/** What the thief comes back with from the provider. */
function visited(
  { authorizationUrl, loginToken }: { authorizationUrl: string; loginToken: string },
  { subject }: Theft,
) {
  return { ...provider.visit(authorizationUrl, { claims: { sub: subject } }), loginToken };
}

async function signInByProvider(theft: Theft) {
  const begin = { provider: 'fake', redirectUri: REDIRECT };
  const begun = await service.auth.startFederatedLogin(begin);
  return service.auth.finishFederatedLogin(visited(begun, theft));
}

/** Takes a step, and keeps the link of the mail about it for whoever can read it. */
async function take(step: Step, theft: Theft): Promise<void> {
  const since = service.mail.mails.length;
  const { does, told } = steps[step];
  await does(theft);
  if (told) {
    const link = tokenIn(await service.mail.next(theft.mailbox, told, since)) ?? '';
    (theft.mailbox === theft.to ? theft.thiefs : theft.owners).push(link);
  }
  if (step === 'address') theft.mailbox = theft.to;
}

/** A person with their own passkey, to whose account a thief signs in and does all this. */
async function robbed(order: readonly Step[]) {
  const { email, accessToken } = await signedIn(service);
  const own = new Authenticator();
  await register(service, { accessToken }, own, 'Own');
  const login = { email, password: PASSWORD, deviceLabel: 'of a thief' };
  const { outcome } = await service.auth.login(login);
  if (outcome.case !== 'tokens') throw new Error('no tokens');
  const theft: Theft = {
    accessToken: outcome.value.accessToken,
    mailbox: email,
    to: newEmail(),
    passkey: new Authenticator(),
    subject: randomUUID(),
    apiKey: '',
    owners: [await tokenOf(email, /A new device signed in/)],
    thiefs: [],
  };
  for (const step of order) await take(step, theft);
  await service.auth.requestPasswordReset({ email: theft.to });
  const thiefsReset = await tokenOf(theft.to, /Set a new password/);
  return { email, own, theft, thiefsReset };
}

/** Fails if the thief can do anything, or the owner can't sign in as before. */
async function assertReturned(
  { email, own, theft, thiefsReset }: Awaited<ReturnType<typeof robbed>>,
  link: string,
) {
  await reset(service, link);
  const owner = await signIn(service, email, NEW_PASSWORD);
  const account = accountOf(service, owner);
  const { user } = await account.getMe({});
  assert.deepEqual([user?.email, user?.emailVerified, user?.mfaEnabled], [email, true, false]);
  const { passkeys } = await account.listPasskeys({});
  assert.deepEqual(
    passkeys.map(({ displayName }) => displayName),
    ['Own'],
  );
  await signInByPasskey(service, own);
  const { apiKeys } = await service
    .client(ApiKeyService, 'grpc', owner.accessToken)
    .listApiKeys({});
  assert.deepEqual(apiKeys, []);
  assert.deepEqual((await account.listIdentities({})).identities, []);

  assert.equal(await isActive(service, theft.accessToken), false);
  const { valid } = await service.client(ApiKeyService).verifyApiKey({ secret: theft.apiKey });
  assert.equal(valid, false);
  const refused = [
    [signInByPasskey(service, theft.passkey), 'MFA_CODE_INVALID'],
    [signIn(service, email, THIEFS_PASSWORD), 'INVALID_CREDENTIALS'],
    [signInByProvider(theft), 'FEDERATED_EMAIL_UNVERIFIED'],
    [reset(service, thiefsReset, PHRASES[2]), 'TOKEN_INVALID'],
    ...theft.thiefs.map(
      (token) => [service.auth.secureAccount({ token }), 'TOKEN_INVALID'] as const,
    ),
  ] as const;
  const reasons = refused.map(async ([call]) => (await refusal(call)).reason);
  assert.deepEqual(
    await Promise.all(reasons),
    refused.map(([, reason]) => reason),
  );
}

/** Answers a notice. Returns the token of the mail that follows. */
async function answer(email: string, token: string): Promise<string> {
  const since = service.mail.mails.length;
  await service.auth.secureAccount({ token });
  return tokenIn(await service.mail.next(email, /Set a new password/, since)) ?? '';
}

/** Runs work for each item, some at a time, and returns what went wrong. */
async function failuresOf<T>(items: readonly T[], work: (item: T) => Promise<void>) {
  const failures: string[] = [];
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) {
      await work(item).catch((error) => failures.push(`${item}: ${error.stack}`));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failures;
}

function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) =>
    ordersOf(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  );
}

describe('An account that was taken over', () => {
  const all = ordersOf<Step>(['app', 'passkey', 'key', 'address', 'password', 'identity']);
  const orders = all.filter((_, i) => (i * THIEF_ORDERS) % all.length < THIEF_ORDERS);

  it("C14 is its owner's again by the mail about the sign-in, whatever a thief did in any order", async () => {
    assert.equal(orders.length, THIEF_ORDERS);
    const failures = await failuresOf(orders, async (order) => {
      const robbery = await robbed(order);
      const [oldest = ''] = robbery.theft.owners;
      await assertReturned(robbery, await answer(robbery.email, oldest));
    });
    assert.deepEqual(failures, []);
  });

  it("C14 is its owner's again, if they answer every mail, the newest first", async () => {
    const some = orders.filter((_, i) => i % 7 === 0);
    const failures = await failuresOf(some, async (order) => {
      const robbery = await robbed(order);
      let link = '';
      for (const token of robbery.theft.owners.toReversed()) {
        link = await answer(robbery.email, token);
      }
      await assertReturned(robbery, link);
    });
    assert.deepEqual(failures, []);
  });
});
