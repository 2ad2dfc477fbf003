import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { csvLine, csvRecords } from '../../src/transfer/csv.ts';
import { textLines } from '../../src/transfer/text-lines.ts';

/** The bytes of a text, this many at a time. */
async function* bytes(text: string, size = text.length): AsyncGenerator<Buffer> {
  const all = Buffer.from(text);
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
}

const records = (text: string, size?: number) =>
  Array.fromAsync(csvRecords(textLines(bytes(text, size))));

/** Cells, or what is wrong; each with the number of its line. */
async function read(text: string, size?: number) {
  const found = await records(text, size);
  return found.map(({ number, ...rest }) => [number, 'cells' in rest ? rest.cells : rest.problem]);
}

describe('A CSV file', () => {
  it('is read by RFC 4180, however its bytes arrive', async () => {
    const text =
      'a,b,c\r\n"a","b ""b""",c\n,,\r\n"two\r\nlines",x,"y"\r\n\r\nZoë,"",last without an end';
    const expected = [
      [1, ['a', 'b', 'c']],
      [2, ['a', 'b "b"', 'c']],
      [3, ['', '', '']],
      [4, ['two\r\nlines', 'x', 'y']],
      [7, ['Zoë', '', 'last without an end']],
    ];
    for (const size of [1, 2, 7, 1000]) assert.deepEqual(await read(text, size), expected);
  });

  it('may begin with a byte order mark', async () => {
    assert.deepEqual(await read('\ufeffa,b\n'), [[1, ['a', 'b']]]);
    assert.deepEqual(await read('a,\ufeffb\n'), [[1, ['a', '\ufeffb']]]);
  });

  it('loses a line to a stray quote, and none after it', async () => {
    const after = Array.from({ length: 50 }, (_, i) => `x,${i}`);
    const found = await read(['a,"open', ...after].join('\n'));
    assert.deepEqual(found[0], [1, 'has a quote that is never closed']);
    assert.deepEqual(
      found.slice(1).map(([, cells]) => cells),
      after.map((line) => line.split(',')),
    );
    assert.deepEqual(await read('a,"open\nb,c'), [
      [1, 'has a quote that is never closed'],
      [2, ['b', 'c']],
    ]);
    assert.deepEqual(await read('a,b"c\n"a"b,c\nd,e'), [
      [1, 'has a quote where none may be'],
      [2, 'has a quote where none may be'],
      [3, ['d', 'e']],
    ]);
  });

  it('loses a line that is too long, and none after it', async () => {
    const long = 'x'.repeat(70_000);
    assert.deepEqual(await read(`a,b\n${long}\nc,d`, 1000), [
      [1, ['a', 'b']],
      [2, 'is too long'],
      [3, ['c', 'd']],
    ]);
    assert.deepEqual(await read(`"a\n${long}\nc,d`), [
      [1, 'has a quote that is never closed'],
      [2, 'is too long'],
      [3, ['c', 'd']],
    ]);
  });

  it('E05 is written so that no spreadsheet computes it, and reads back unchanged', async () => {
    const formulas = ['=1+1', '+49 170 1234567', '-2', '@SUM(A1)', '\tx', '＝1', "'=1", "''+1"];
    for (const cell of formulas) {
      assert.match(csvLine([cell]), /^"?'/, cell);
      assert.deepEqual(await read(csvLine([cell])), [[1, [cell]]]);
    }
    const others = ["'tis", "O'Neil", 'a=b', '2+2', "'"];
    assert.equal(csvLine(others), `${others.join(',')}\r\n`);
    assert.deepEqual(await read(csvLine(others)), [[1, others]]);
  });

  it('E05 is not computed by spreadsheets that separate cells by semicolons', async () => {
    const written = {
      'Pat;=1+1;x': "Pat;'=1+1;x",
      'Pat\n@SUM(A1);x': `"Pat\n'@SUM(A1);x"`,
      "a;'-2;b": "a;''-2;b",
      'a;"=1&";b': `"a;'""=1&"";b"`,
      '\r\n;;=1': `"'\r\n;;'=1"`,
    };
    for (const [cell, line] of Object.entries(written)) {
      assert.equal(csvLine([cell]), `${line}\r\n`);
      assert.deepEqual(await read(csvLine([cell])), [[1, [cell]]]);
    }
    assert.equal(csvLine(['user;admin', 'a; =b', "it;'s"]), "user;admin,a; =b,it;'s\r\n");
  });

  it('E05 is written without characters that a terminal would obey', () => {
    assert.equal(csvLine(['\u001b[2J\u009b31mPat\u0007']), '�[2J�31mPat�\r\n');
  });

  it('is written so that it reads back', async () => {
    const cells = ['plain', 'with, comma', 'with "quotes"', 'with\nline', '', 'ü'];
    assert.deepEqual(await read(csvLine(cells)), [[1, cells]]);
  });
});
