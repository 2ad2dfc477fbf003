import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { peersPicture } from '../../bench/peers/picture.ts';
import type { Results } from '../../bench/peers/results.ts';
import { peersTable, withSection } from '../../bench/peers/table.ts';
import { targetsText } from '../../bench/peers/targets.ts';

const RESULTS: Results = {
  date: '2026-01-02',
  machine: '2 cores (a processor), Node 24.0.0',
  rounds: 3,
  seconds: 5,
  versions: { Countersign: '0.1.0', 'other, in memory': '9.8.7' },
  works: {
    TokenCheck: [
      { name: 'Countersign, gRPC', value: 26_712.4, rounds: [26_712.4] },
      { name: 'Countersign, Connect JSON', value: 6700, rounds: [6700] },
      { name: 'other, introspection, in memory', value: 11_500, rounds: [11_500] },
    ],
    SignUp: [{ name: 'Countersign, Connect JSON', value: 60.4, rounds: [60.4] }],
  },
  latency: [{ name: 'Countersign, gRPC', value: 5.64, rounds: [5.64] }],
  memory: [
    { name: 'Countersign', idle: 240.2, after: 870.7 },
    { name: 'other, in memory', idle: 100, after: 120 },
  ],
};

describe('the comparison with other services', () => {
  it('is a table with a line for each work and a column for each service', () => {
    assert.equal(
      peersTable(RESULTS),
      `| | Countersign 0.1.0 | other 9.8.7 |
|---|---|---|
| Token check, per second | gRPC 26,712<br>Connect JSON 6,700 | introspection, in memory 11,500 |
| Sign-up, per second | Connect JSON 60 | – |
| p99 of token checks at 500/s, ms (less is better) | gRPC 5.6 | – |
| Resident memory, idle and after the load, MiB (less is better) | idle 240<br>after 871 | in memory, idle 100<br>in memory, after 120 |

Measured on 2026-01-02 in one run on 2 cores (a processor), Node 24.0.0: service, load and PostgreSQL on the same cores, in turn, medians of 3 rounds of 5 seconds.`,
    );
  });

  it('is a picture that has every figure as text and leaves none outside', () => {
    const picture = peersPicture(RESULTS);
    for (const text of ['26,712', '11,500', '5.6', '871', 'Sign-up, per second']) {
      assert.ok(picture.includes(`>${text}</text>`), text);
    }
    const height = Number(/viewBox="0 0 880 (\d+)"/.exec(picture)?.[1]);
    for (const [, y = ''] of picture.matchAll(/ y="([\d.]+)"/g)) assert.ok(Number(y) < height);
    assert.doesNotMatch(picture, /NaN|undefined|Infinity/);
  });

  it('escapes names in the picture', () => {
    const works = { Login: [{ name: 'a<b & c', value: 1, rounds: [1] }] };
    assert.ok(peersPicture({ ...RESULTS, works }).includes('>a&lt;b &amp; c</text>'));
  });

  it('says which targets are met, of those that were measured', () => {
    const measured = (name: string, value: number) => ({ name, value, rounds: [value] });
    const works = {
      ApiKeyCheck: [measured('Countersign, gRPC', 2000), measured('better-auth', 100)],
      Refresh: [
        measured('Countersign, Connect JSON', 390),
        measured('Keycloak, reusable tokens', 100),
      ],
    };
    const memory = [
      { name: 'Countersign', idle: 1, after: 61 },
      { name: 'Keycloak', idle: 1, after: 100 },
    ];
    assert.equal(
      targetsText({ ...RESULTS, works, memory }),
      `API-key check against better-auth: 20.00 ×, target ≥ 20 ×, met
refresh against Keycloak, reusable tokens: 3.90 ×, target ≥ 4 ×, missed
memory after the load against Keycloak: 0.61 ×, target ≤ 0.6 ×, missed
`,
    );
    assert.equal(targetsText(RESULTS), '');
  });

  it('replaces the section of a document and nothing else', () => {
    const text = 'before\n<!-- peers -->\nold\n<!-- end of peers -->\nafter\n';
    const once = withSection(text, 'peers', 'new');
    assert.equal(once, 'before\n<!-- peers -->\nnew\n<!-- end of peers -->\nafter\n');
    assert.equal(withSection(once, 'peers', 'new'), once);
    assert.throws(() => withSection('nothing', 'peers', 'new'), /has no section peers/);
  });
});
