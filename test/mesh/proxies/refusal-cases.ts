import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Sent } from './send.ts';
import { bearer, exchange, type Setting, startChanged } from './setting.ts';

type Fields = NonNullable<Sent['fields']>;

export type RefusalOptions = {
  versions: NonNullable<Sent['version']>[];
  /** Kilobytes of cookies that the proxy takes, in lines of this many. */
  cookies: { kilobytes: number; line: number };
  /** Whether a refusal by the rule says what is missing; nginx passes that on with 401 alone. */
  explains?: boolean;
};

/** Who does not get through (A07, M03, S09). */
export function refusalCases(setting: () => Setting, options: RefusalOptions): void {
  /** The proxy refuses it, and the service behind it never hears of it. */
  const assertRefused = async (sent: Sent, ...statuses: number[]) => {
    const { answer, received } = await exchange(setting(), sent);
    const what = `${JSON.stringify(sent).slice(0, 300)}: ${answer.status} ${answer.body}`;
    assert.ok(statuses.includes(answer.status), what);
    assert.deepEqual(received, [], what);
    return answer;
  };

  for (const version of options.versions) {
    it(`A07 refuses what is no good credential, by HTTP/${version}`, async () => {
      const none = await assertRefused({ version }, 401);
      assert.equal(none.headers['www-authenticate'], 'Bearer');
      const { accessToken } = setting().boss;
      const bad: Fields[] = [
        [['Authorization', `Bearer ${accessToken.slice(0, -4)}AAAA`]],
        [['Authorization', 'Bearer csk_nobody']],
        [['Authorization', 'Basic cGF0OnBhdA==']],
        [['Authorization', `Bearer ${accessToken}\xff`]],
        [['X-Api-Key', 'csk_nobody']],
        [['Cookie', `authorization=Bearer ${accessToken}`]],
      ];
      for (const fields of bad) {
        const answer = await assertRefused({ version, fields }, 401, 400);
        if (answer.status === 401)
          assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer/);
      }
      await assertRefused({ version, path: `/?access_token=${accessToken}` }, 401);
      await assertRefused({ version, method: 'OPTIONS' }, 401);
    });

    it(`A07 refuses two credentials, one of which is good, by HTTP/${version}`, async () => {
      const { boss, pat, key } = setting();
      const [[name, good], [, other]] = [bearer(boss), bearer(pat)];
      const pairs: Fields[] = [
        [
          [name, good],
          [name, other],
        ],
        [
          [name, other],
          [name, good],
        ],
        [
          [name, good],
          [name, good],
        ],
        [[name, `${good}, ${other}`]],
        [[name, `${good},`]],
        [
          ['X-Api-Key', key],
          ['X-Api-Key', 'csk_nobody'],
        ],
        [
          ['X-Api-Key', 'csk_nobody'],
          ['X-Api-Key', key],
        ],
        [['X-Api-Key', `${key},csk_nobody`]],
        [
          [name, 'Bearer nonsense'],
          ['X-Api-Key', key],
        ],
      ];
      for (const fields of pairs) await assertRefused({ version, fields }, 401, 400, 0);
    });
  }

  it('M03 refuses whoever lacks the scope of a route, whatever their query and headers say', async () => {
    const { pat } = setting();
    const tries: Sent[] = [
      { path: '/orders' },
      { path: '/orders/1?shadow=true' },
      { path: '/orders/1?required_scopes=&shadow=true&audience=x' },
      { path: '/orders/1', fields: [['X-Forwarded-Uri', '/verify?shadow=true']] },
      {
        path: '/orders/1',
        fields: [
          ['X-Original-Uri', '/public'],
          ['X-Forwarded-Method', 'GET'],
        ],
      },
      { path: '/orders/1', fields: [['X-Countersign-Scopes', 'orders.read']] },
      { path: '/orders/1', fields: [['X-Countersign-Caller', bearer(pat)[1]]] },
      { path: '/orders/1', fields: [['X-Envoy-Auth-Headers-To-Remove', 'x-countersign-subject']] },
      { path: '/orders/1', method: 'PATCH', body: '{"shadow":"true"}' },
    ];
    for (const { fields = [], ...sent } of tries) {
      const answer = await assertRefused({ ...sent, fields: [...fields, bearer(pat)] }, 403);
      if (options.explains === false) continue;
      assert.match(answer.headers['www-authenticate'] ?? '', /insufficient_scope/);
    }
    await assertRefused({ path: '/?shadow=true' }, 401);
    for (const path of ['/orders/1', '/']) {
      const query = '?required_nothing=1&required_scopes=nobody&exchange=nobody';
      const sent = { path: path + query, fields: [bearer(setting().boss)] };
      const { answer } = await exchange(setting(), sent);
      assert.equal(answer.status, 200, 'a query is no rule');
    }
  });

  it('M03 lets nobody through by a rule that cannot be read', async () => {
    const typo = await startChanged(setting(), (text) =>
      text.replaceAll('required_scopes', 'required_scope'),
    );
    const sent = { path: '/orders', fields: [bearer(setting().boss)] };
    const { answer, received } = await exchange(typo, sent);
    assert.deepEqual([answer.status, received], [403, []]);
  });

  it('judges requests with large cookies', async () => {
    const { kilobytes, line } = options.cookies;
    const cookie: [string, string] = ['Cookie', `a=${'x'.repeat(line * 1024 - 100)}`];
    const fields: Fields = Array.from({ length: kilobytes / line }, () => cookie);
    await assertRefused({ fields }, 401);
    const { answer, received } = await exchange(setting(), {
      fields: [...fields, bearer(setting().boss)],
    });
    assert.deepEqual([answer.status, received.length], [200, 1]);
  });

  it('judges upgrades, and opens no tunnel', async () => {
    const upgrade: Fields = [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Version', '13'],
      ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ];
    await assertRefused({ fields: upgrade }, 401);
    await assertRefused({ path: '/orders', fields: [...upgrade, bearer(setting().pat)] }, 403);
    const opened = await exchange(setting(), { fields: [...upgrade, bearer(setting().boss)] });
    assert.equal(opened.answer.status, 101);
    const { received } = opened;
    assert.equal(received.length, 1);
    for (const path of ['service.test:80', '/orders', '127.0.0.1:1']) {
      const { answer, received } = await exchange(setting(), { method: 'CONNECT', path });
      assert.ok(answer.status === 0 || answer.status >= 400, `CONNECT ${path}: ${answer.status}`);
      assert.deepEqual(received, []);
    }
  });
}
