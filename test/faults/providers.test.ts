import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { FakeProvider } from '../federation/fake-provider.ts';
import { REDIRECT } from '../federation/peer.ts';
import { atEnd } from '../harness/at-end.ts';
import { createAccount, newEmail, signIn } from '../harness/people.ts';
import { EVERY_FAULT } from '../harness/scale.ts';
import { type Service, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { assertAway, Calls, during, FAULTS, LONG, wholeAgain } from './faults.ts';

/** The promise is five seconds for each call; a machine that is busy gets more. */
const AT_ONCE_MS = 15_000;
/** The limit of a request, and the rest that follows it. */
const GIVEN_UP_MS = 4500;

describe('An identity provider', { skip: !EVERY_FAULT && LONG }, () => {
  let fake: FakeProvider;
  let proxy: TcpProxy;
  let service: Service;

  before(async () => {
    fake = await FakeProvider.start();
    proxy = new TcpProxy(fake.issuer);
    // It calls itself by the address of the proxy.
    fake.issuer = (await proxy.listen(fake.issuer)).replace(/\/$/, '');
    const COUNTERSIGN_OIDC_PROVIDERS = JSON.stringify([fake.settings()]);
    service = await startService({ env: { COUNTERSIGN_OIDC_PROVIDERS } });
    atEnd(() => proxy.close());
  });

  /** Signs in a new person by the provider. */
  const federated = async () => {
    const begun = await service.auth.startFederatedLogin({
      provider: 'fake',
      redirectUri: REDIRECT,
    });
    const email = newEmail();
    const claims = { sub: email, email, email_verified: true };
    const { authorizationUrl, loginToken } = begun;
    const answer = { loginToken, ...fake.visit(authorizationUrl, { claims }) };
    return service.auth.finishFederatedLogin(answer);
  };

  for (const fault of FAULTS) {
    it(`W13 ${fault.name}: says so soon, leaves other sign-ins alone, and recovers`, async () => {
      const email = await createAccount(service);
      const quiet = new Calls();
      const from = performance.now();
      assert.equal((await federated()).outcome.case, 'tokens');
      const quietMs = performance.now() - from;
      await quiet.make(() => signIn(service, email));
      const [byProvider, byPassword] = [new Calls(), new Calls()];
      const openedAt = await during(
        fault,
        proxy,
        () => byProvider.make(federated),
        () => byPassword.make(() => signIn(service, email)),
      );
      const givenUpAt = openedAt + (fault.isLost ? GIVEN_UP_MS : 0);
      await wholeAgain(givenUpAt, quietMs, () =>
        federated().then(
          ({ outcome }) => outcome.case === 'tokens',
          () => false,
        ),
      );
      for (const each of byProvider.refusals) assertAway(each);
      for (const ms of byProvider.durations) assert.ok(ms < AT_ONCE_MS, `${ms}`);
      // Three seconds is what a request has: one that was under way all the time may still be answered.
      const mayAnswer = fault.isLate || fault.name === 'frozen for 3 s';
      if (!mayAnswer) assert.ok(byProvider.refusals.length > 0);
      assert.deepEqual(byPassword.refusals, []);
      assert.ok(byPassword.median < 5 * quiet.median + 1000);
    });
  }
});
