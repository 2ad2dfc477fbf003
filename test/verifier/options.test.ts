import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { VerifierOptions } from '../../packages/verifier/src/options.ts';
import { withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { byGrpc, reasonAt, verifierAt, verifierOf } from './verifiers.ts';

const limits = { checkpointMs: 100 };
const AWAY = 'DEPENDENCY_UNAVAILABLE';

let service: Service;

before(async () => {
  service = await startService({ limits });
});

describe('The options of a verifier', () => {
  it('are refused if they make no sense, with what to write instead', () => {
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ issuer: '' }, /`issuer`/],
      [{ audience: '' }, /`audience`/],
      [byGrpc(service), /`baseUrl` or `transport`/],
      [{ baseUrl: 'countersign:8080' }, /`baseUrl`.*http:/],
      [{ baseUrl: 'http://' }, /`baseUrl`.*http:/],
      [{ staleAfterMs: 1000 }, /`staleAfterMs`/],
      [{ staleAfterMs: Number.NaN }, /`staleAfterMs`/],
      [{ whileStale: 'Ask' }, /`whileStale`/],
      [{ whileStale: 'accept' }, /`acceptForMs`/],
      [{ whileStale: 'accept', acceptForMs: 15_000 }, /`acceptForMs`/],
      [{ maxTokens: Number.NaN }, /`maxTokens`/],
      [{ maxRevocations: -1 }, /`maxRevocations`/],
      [{ rememberApiKeyMs: Number.NaN }, /`rememberApiKeyMs`/],
      [{ askTimeoutMs: 0 }, /`askTimeoutMs`/],
    ];
    for (const [options, message] of wrong) {
      assert.throws(() => verifierOf(service, options as Partial<VerifierOptions>), message);
    }
  });

  it('have their defaults if they are undefined', async () => {
    const names = ['whileStale', 'staleAfterMs', 'acceptForMs', 'maxTokens', 'maxRevocations'];
    const left = [...names, 'rememberApiKeyMs', 'askTimeoutMs'].map((name) => [name, undefined]);
    const verifier = verifierOf(service, Object.fromEntries(left));
    const { accessToken } = await signedIn(service);
    const principal = await verifier.verify(accessToken);
    assert.equal(verifier.verify(accessToken), principal);
  });
});

describe('A verifier that is not heard of', () => {
  it('says why, if it knows', async () => {
    const refused = verifierOf(service, { credential: `csk_${'0'.repeat(60)}` });
    await assert.rejects(refused.ready(2000), { reason: AWAY, message: /tokens\.introspect/ });
    const away = verifierAt('http://127.0.0.1:9');
    await assert.rejects(away.ready(1000), { reason: AWAY, message: /could not be reached: .+/ });
  });
});

describe('A function that gives the credential of a verifier', () => {
  it('M04 may hang for a while, and holds up nothing for longer than a question', async () => {
    let hangs = true;
    const credential = () => (hangs ? new Promise<string>(() => {}) : '');
    const askTimeoutMs = 50;
    const verifier = verifierOf(service, { credential, askTimeoutMs });
    const errors: string[] = [];
    verifier.on('error', ({ message }) => errors.push(message));
    const owner = await withRoles(service, 'user', 'admin');
    const { secret } = await newKey(service, owner);
    assert.equal(await reasonAt(verifier, secret), AWAY);
    await eventually(() => errors.some((message) => /longer than 50 ms/.test(message)));
    hangs = false;
    await verifier.ready(60_000);
    assert.equal(await reasonAt(verifier, owner.accessToken), undefined);
  });

  it('M04 may throw', async () => {
    let isBroken = true;
    const credential = () => {
      if (isBroken) throw new Error('the vault is sealed');
      return '';
    };
    const verifier = verifierOf(service, { credential });
    await assert.rejects(verifier.ready(1000), { reason: AWAY, message: /the vault is sealed/ });
    isBroken = false;
    await verifier.ready(60_000);
  });
});

describe('A verifier that is closed', () => {
  it('M04 accepts nothing any more, and refuses nobody', async () => {
    const verifier = verifierOf(service);
    const { accessToken } = await signedIn(service);
    assert.equal(await reasonAt(verifier, accessToken), undefined);
    verifier.close();
    assert.equal(await reasonAt(verifier, accessToken), AWAY);
    verifier.close();
  });
});
