import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { createTestIssuer, type TestIssuer } from '../../packages/verifier/src/testing.ts';
import { atEnd } from '../harness/at-end.ts';
import { reasonAt } from './verifiers.ts';

function issuerForTest(): TestIssuer {
  const issuer = createTestIssuer();
  atEnd(() => issuer.close());
  return issuer;
}

describe('A test issuer', () => {
  it('mints tokens that a verifier accepts, of whom a test likes', async () => {
    const issuer = issuerForTest();
    const verifier = issuer.createVerifier();
    const subject = randomUUID();
    const token = await issuer.token({
      subject,
      permissions: ['orders.read'],
      amr: ['pwd', 'mfa'],
    });
    const principal = await verifier.verify(token);
    assert.equal(principal.subject, subject);
    assert.deepEqual(principal.permissions, ['orders.read']);
    assert.deepEqual(principal.amr, ['pwd', 'mfa']);
    const program = await verifier.verify(await issuer.token({ type: 'service_account' }));
    assert.equal(program.type, 'service_account');
    const other = await issuer.token({ audience: 'other' });
    assert.equal(await reasonAt(verifier, other), 'TOKEN_INVALID');
  });

  it('revokes them, and what comes after is good', async () => {
    const issuer = issuerForTest();
    const verifier = issuer.createVerifier();
    const [subject, sessionId] = [randomUUID(), randomUUID()];
    const first = await issuer.token({ sessionId });
    const second = await issuer.token({ subject });
    for (const token of [first, second]) assert.equal(await reasonAt(verifier, token), undefined);
    await issuer.revoke({ sessionId });
    assert.equal(await reasonAt(verifier, first), 'TOKEN_REVOKED');
    await issuer.revoke({ subject });
    assert.equal(await reasonAt(verifier, second), 'TOKEN_REVOKED');
    assert.equal(await reasonAt(verifier, await issuer.token({ subject })), undefined);
  });

  it('has API keys, with limits', async () => {
    const issuer = issuerForTest();
    const verifier = issuer.createVerifier();
    const { secret, apiKeyId } = issuer.apiKey({ permissions: ['orders.read'] });
    assert.deepEqual((await verifier.verify(secret)).permissions, ['orders.read']);
    await issuer.revoke({ apiKeyId });
    assert.equal(await reasonAt(verifier, secret), 'TOKEN_REVOKED');
    const limited = issuer.apiKey({ uses: 1 });
    assert.equal(await reasonAt(verifier, limited.secret), undefined);
    assert.equal(await reasonAt(verifier, limited.secret), 'RATE_LIMITED');
  });

  it('lets time pass', async () => {
    const issuer = issuerForTest();
    const verifier = issuer.createVerifier();
    const token = await issuer.token();
    await issuer.advance(599_000);
    assert.equal(await reasonAt(verifier, token), undefined);
    await issuer.advance(1000);
    assert.equal(await reasonAt(verifier, token), 'TOKEN_EXPIRED');
  });

  it('M04 keeps verifiers from hearing, which do as they were told', async () => {
    const issuer = issuerForTest();
    const refusing = issuer.createVerifier();
    const asking = issuer.createVerifier({ whileStale: 'ask' });
    const sessionId = randomUUID();
    const token = await issuer.token({ sessionId });
    for (const each of [refusing, asking]) assert.equal(await reasonAt(each, token), undefined);
    issuer.goStale();
    assert.equal(refusing.state, 'stale');
    assert.equal(await reasonAt(refusing, token), 'DEPENDENCY_UNAVAILABLE');
    assert.equal(await reasonAt(asking, token), undefined);
    await issuer.revoke({ sessionId });
    assert.equal(await reasonAt(asking, token), 'TOKEN_REVOKED');
    issuer.goAway();
    assert.equal(await reasonAt(asking, token), 'DEPENDENCY_UNAVAILABLE');
    await issuer.recover();
    assert.equal(await reasonAt(refusing, token), 'TOKEN_REVOKED');
  });

  it('waits for no verifier that is closed', async () => {
    const issuer = issuerForTest();
    const [closed, open] = [issuer.createVerifier(), issuer.createVerifier()];
    const sessionId = randomUUID();
    const token = await issuer.token({ sessionId });
    closed.close();
    assert.equal(closed.state, 'closed');
    await issuer.revoke({ sessionId });
    assert.equal(await reasonAt(open, token), 'TOKEN_REVOKED');
  });

  it('signs with another key when it is told to', async () => {
    const issuer = issuerForTest();
    const verifier = issuer.createVerifier();
    const before = await issuer.token();
    assert.equal(await reasonAt(verifier, before), undefined);
    await issuer.rotateKey();
    assert.equal(await reasonAt(verifier, await issuer.token()), undefined);
    assert.equal(await reasonAt(verifier, before), undefined);
  });
});
