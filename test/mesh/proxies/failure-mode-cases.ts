import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { newKey } from '../../api-keys/keys.ts';
import type { Sent } from './send.ts';
import { exchange, type Setting, startChanged } from './setting.ts';

/**
 * An Envoy that lets everybody in when Countersign fails, and passes on whatever a client sends: what a
 * client must not be able to use.
 */
function recklessly(text: string): string {
  return text
    .replace('status_on_error:', 'failure_mode_allow: true\n                      status_on_error:')
    .replace('stat_prefix: edge', 'stat_prefix: edge\n                max_request_headers_kb: 8192')
    .replace(
      'headers_with_underscores_action',
      'max_headers_count: 50000\n                  headers_with_underscores_action',
    )
    .replace(
      'transport_api_version: V3',
      'transport_api_version: V3\n                      with_request_body: { max_request_bytes: 8000000, allow_partial_message: true }',
    );
}

const large = (kilobytes: number) => 'x'.repeat(kilobytes * 1024);

/** Nothing that a client can send is a failure of Countersign's (M02). */
export function failureModeCases(setting: () => Setting): void {
  const tries: Record<string, Sent> = {
    'large headers': { fields: [['X-Large', large(3000)]] },
    'headers over every limit': { fields: [['X-Large', large(7000)]] },
    'a large credential': { fields: [['Authorization', `Bearer ${large(5000)}`]] },
    'a large key': { fields: [['X-Api-Key', `csk_${large(100)}`]] },
    'a large path': { path: `/${large(5000)}` },
    'a large body': { method: 'POST', body: large(7000) },
    'a body of any bytes': { method: 'POST', body: randomBytes(100_000).toString('latin1') },
    'thousands of headers': {
      fields: Array.from({ length: 20_000 }, (_, i): [string, string] => [`X-Name-${i}`, 'x']),
    },
    'bytes that are no UTF-8': {
      fields: [
        ['Authorization', 'Bearer \xff\xfe\x80'],
        ['X-Name', '\xc3\x28'],
        ['Cookie', '\xed\xa0\x80'],
      ],
    },
    'an odd token': { fields: [['Authorization', 'Bearer eyJhbGciOiJub25lIn0.e30.']] },
    'a token of odd types': {
      fields: [['Authorization', `Bearer ${btoa('{"alg":{},"kid":[]}')}.${btoa('[]')}.AAAA`]],
    },
    'a gRPC call': { method: 'POST', fields: [['Content-Type', 'application/grpc']], version: '2' },
  };

  it('M02 lets nobody in by an error that a client causes, although its proxy would', async () => {
    const reckless = await startChanged(setting(), recklessly);
    for (const [what, sent] of Object.entries(tries)) {
      const { answer, received } = await exchange(reckless, sent);
      assert.deepEqual(received, [], `${what}: ${answer.status}`);
      assert.ok(answer.status < 500, `${what}: ${answer.status} ${answer.body}`);
    }
  });

  it('M02 lets nobody in by the limit of a key that is used up', async () => {
    const reckless = await startChanged(setting(), recklessly);
    const limit = { requests: 1, per: { seconds: 3600n } };
    const { secret } = await newKey(setting().service, setting().boss, { rateLimit: limit });
    const ask = () => exchange(reckless, { fields: [['X-Api-Key', secret]] });
    assert.equal((await ask()).answer.status, 200);
    const { answer, received } = await ask();
    assert.deepEqual([answer.status, received], [429, []]);
  });
}
