import assert from 'node:assert/strict';
import { it } from 'node:test';
import { claimsOf } from '../../harness/people.ts';
import type { Sent } from './send.ts';
import { bearer, exchange, type Setting } from './setting.ts';
import { type Received, valuesOf } from './upstream.ts';

const IDENTITY = ['subject', 'session', 'scopes', 'roles'].map((part) => `x-countersign-${part}`);
const OURS = /^x[-_.]countersign[-_.](subject|session|scopes|roles|caller)$/i;
const FORGED = 'mallory';

/** Every header that some server takes for one of ours, whatever its spelling, as `name: value`. */
function identityOf({ fields }: Received): string[] {
  return fields
    .filter(([name]) => OURS.test(name))
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .sort();
}

/** The service gets one header of each name with our value; Caddy leaves empty ones out. */
function assertIdentity(received: Received[], values: string[]): void {
  assert.equal(received.length, 1);
  const [one] = received as [Received];
  const expected = IDENTITY.map((name, i) => `${name}: ${values[i] ?? ''}`).sort();
  const sent = identityOf(one);
  const missing = expected.filter((each) => !sent.includes(each));
  assert.deepEqual(
    sent.filter((each) => !expected.includes(each)),
    [],
  );
  assert.equal(new Set(sent).size, sent.length, 'no header comes twice');
  assert.ok(
    missing.every((each) => each.endsWith(': ')),
    `missing: ${missing}`,
  );
  assert.deepEqual(valuesOf(one, 'x-api-key'), []);
}

export type IdentityOptions = { versions: NonNullable<Sent['version']>[] };

const SPELLINGS = ['subject', 'session', 'scopes', 'roles'].flatMap((part) => [
  ...['-', '_', '.'].flatMap((a) => ['-', '_', '.'].map((b) => `x${a}countersign${b}${part}`)),
  `X-COUNTERSIGN-${part.toUpperCase()}`,
]);

function ofBoss({ boss }: Setting): string[] {
  const { scope, sid } = claimsOf(boss.accessToken) as { scope: string; sid: string };
  return [boss.userId, sid, scope, 'user,admin'];
}

/** Sends identity headers of a client's own, twice each, in every spelling that servers confuse. */
export async function assertNothingForged(
  setting: Setting,
  versions: IdentityOptions['versions'],
  paths: string[] = ['/', '/public/'],
): Promise<void> {
  for (const version of versions) {
    for (const name of [...SPELLINGS, 'x-countersign-caller']) {
      const forged = Array.from({ length: 2 }, (): [string, string] => [name, FORGED]);
      const fields = [...forged, bearer(setting.boss)];
      for (const path of paths) {
        const { answer, received } = await exchange(setting, { path, version, fields });
        assert.ok([200, 400].includes(answer.status), `${name}: ${answer.status} ${answer.body}`);
        for (const one of received) {
          assert.ok(!identityOf(one).join().includes(FORGED), `${name} at ${path}`);
          assert.deepEqual(valuesOf(one, 'authorization'), []);
          if (path === '/') assertIdentity([one], ofBoss(setting));
        }
      }
    }
  }
}

/** What the service behind a proxy learns of its caller (M01). */
export function identityCases(setting: () => Setting, { versions }: IdentityOptions): void {
  const ofKey = () => [setting().boss.userId, '', 'orders.read', ''];

  for (const version of versions) {
    it(`M01 gets who calls, and no credential, by HTTP/${version}`, async () => {
      const { boss, key } = setting();
      const calls: [NonNullable<Sent['fields']>, string[]][] = [
        [[bearer(boss)], ofBoss(setting())],
        [[['authorization', `bearer ${key}`]], ofKey()],
        [[['X-API-KEY', key]], ofKey()],
      ];
      for (const [fields, values] of calls) {
        for (const path of ['/', '/orders/7?page=2']) {
          const { answer, received } = await exchange(setting(), { path, version, fields });
          assert.equal(answer.status, 200, answer.body);
          assertIdentity(received, values);
          assert.deepEqual(valuesOf(received[0] as Received, 'authorization'), []);
          assert.equal(received[0]?.path, path);
        }
      }
    });
  }

  it('M01 gets nothing that a client forged', async () => {
    await assertNothingForged(setting(), versions);
  });

  it('M01 gets nothing forged if a client has proxies remove what is ours', async () => {
    const { boss } = setting();
    for (const connection of [
      'close, x-countersign-subject',
      'X-Countersign-Subject',
      'keep-alive, authorization',
    ]) {
      const fields: Sent['fields'] = [
        ['Connection', connection],
        ['X-Countersign-Subject', FORGED],
        bearer(boss),
      ];
      const { answer, received } = await exchange(setting(), { fields });
      assert.ok([200, 400, 401, 403].includes(answer.status), answer.body);
      for (const one of received) {
        assert.deepEqual(valuesOf(one, 'authorization'), []);
        // One without a subject is refused by the service.
        const subjects = valuesOf(one, 'x-countersign-subject');
        if (subjects.length > 0) assertIdentity(received, ofBoss(setting()));
      }
    }
  });

  it('M01 gets a token of its own in place of the credential', async () => {
    const { boss, key } = setting();
    for (const field of [bearer(boss), ['X-Api-Key', key] as [string, string]]) {
      const { answer, received } = await exchange(setting(), {
        path: '/billing/1',
        fields: [field],
      });
      assert.equal(answer.status, 200, answer.body);
      const [token = '', ...others] = valuesOf(received[0] as Received, 'authorization');
      assert.deepEqual([others, valuesOf(received[0] as Received, 'x-api-key')], [[], []]);
      const { aud, sub } = claimsOf(token.replace('Bearer ', ''));
      assert.deepEqual([aud, sub], ['billing', boss.userId]);
      // What is for the service does not work at the edge.
      const again = await exchange(setting(), { fields: [['authorization', token]] });
      assert.deepEqual([again.answer.status, again.received], [401, []]);
    }
  });

  it('gets bodies whole, large headers, and bytes that are no UTF-8', async () => {
    const { boss } = setting();
    const body = 'x'.repeat(300_000);
    const posted = await exchange(setting(), { method: 'POST', fields: [bearer(boss)], body });
    assert.deepEqual([posted.answer.status, posted.received[0]?.body === body], [200, true]);
    const odd = await exchange(setting(), {
      fields: [['X-Name', '\xff\xfe caf\xe9'], bearer(boss)],
    });
    assert.ok([200, 400].includes(odd.answer.status));
    for (const one of odd.received) assertIdentity([one], ofBoss(setting()));
  });
}
