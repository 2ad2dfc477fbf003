import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Mailbox } from '../../src/mail/mailbox.ts';
import { temporaryDirectory } from '../harness/prepared.ts';

function mail(id: string, text = 'text\n', to = 'pat@example.com') {
  return { id, from: 'us@example.com', to, subject: `subject ${id}`, text, html: '<p>text</p>' };
}

function open(directory = temporaryDirectory()) {
  const mailbox = new Mailbox(directory, () => new Date('2030-01-01T00:00:00Z'));
  const ids = async () => (await mailbox.list()).map(({ id }) => id);
  return { mailbox, ids, directory, path: join(directory, 'mailbox.ndjson') };
}

describe('The mailbox of the embedded default', () => {
  it('is empty before the first mail', async () => {
    assert.deepEqual(await open().mailbox.list(), []);
  });

  it('returns what was sent, the newest first', async () => {
    const { mailbox, ids } = open();
    for (const id of ['1', '2', '3']) await mailbox.deliver(mail(id, 'one\ntwo\u2028“three”'));
    assert.deepEqual(await ids(), ['3', '2', '1']);
    const { from: _, ...sent } = mail('3', 'one\ntwo\u2028“three”');
    assert.deepEqual((await mailbox.list())[0], { ...sent, sent_at: '2030-01-01T00:00:00.000Z' });
  });

  it('is a file that only its owner can read', async () => {
    const { mailbox, path } = open();
    await mailbox.deliver(mail('1'));
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('returns a mail once that was delivered twice', async () => {
    const { mailbox, ids } = open();
    for (const id of ['1', '2', '1']) await mailbox.deliver(mail(id));
    assert.deepEqual(await ids(), ['2', '1']);
  });

  it('survives a last line that was half-written, wherever it ends', async () => {
    const { mailbox, path, directory } = open();
    await mailbox.deliver(mail('1'));
    await mailbox.deliver(mail('2', 'ü ☃'));
    const whole = readFileSync(path);
    const start = whole.lastIndexOf('{');
    for (let end = start; end < whole.length; end += 1) {
      writeFileSync(path, whole.subarray(0, end));
      const reopened = open(directory);
      assert.deepEqual(await reopened.ids(), ['1'], `${end}`);
      await reopened.mailbox.deliver(mail('3'));
      const ids = await reopened.ids();
      // Only the line break was missing: then the mail is whole.
      assert.deepEqual(ids, end === whole.length - 1 ? ['3', '2', '1'] : ['3', '1'], `${end}`);
    }
  });

  it('skips lines that are not mails', async () => {
    const { mailbox, ids, path } = open();
    await mailbox.deliver(mail('1'));
    appendFileSync(path, '\n\u0000\u0000\n{"id":\nnull\n7\n"text"\n{}\n');
    await mailbox.deliver(mail('2'));
    assert.deepEqual(await ids(), ['2', '1']);
  });

  it('keeps concurrent mails whole', async () => {
    const { mailbox, ids } = open();
    const all = Array.from({ length: 50 }, (_, i) => `${i}`);
    await Promise.all(all.map((id) => mailbox.deliver(mail(id, 'x'.repeat(20_000)))));
    assert.deepEqual(new Set(await ids()), new Set(all));
  });

  it('shows the last 200 mails', async () => {
    const { mailbox, ids } = open();
    for (let i = 0; i < 230; i += 1) await mailbox.deliver(mail(`${i}`));
    const shown = await ids();
    assert.equal(shown.length, 200);
    assert.deepEqual([shown[0], shown.at(-1)], ['229', '30']);
  });
});
