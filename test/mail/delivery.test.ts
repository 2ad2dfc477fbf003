import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { errandsRun } from '../harness/errands.ts';
import { eventually } from '../harness/eventually.ts';
import { MailServer, tokenIn } from '../harness/mail-server.ts';
import { createAccount, newEmail, PASSWORD } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { freePort } from '../servers.ts';

const messageId = ({ raw }: { raw: string }) => /^Message-ID: (.*)$/im.exec(raw)?.[1];

describe('Mail', () => {
  let service: Service;

  before(async () => {
    service = await startService();
    await retrySoon(service);
  });

  const signUp = (email: string, at = service) =>
    at.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });

  it('goes out soon after the call, marked as written by a program', async () => {
    const email = newEmail();
    await signUp(email);
    const mail = await service.mail.next(email, /Confirm/);
    assert.match(mail.raw, /^From: Countersign <no-reply@localhost>\r$/m);
    assert.match(mail.raw, /^Auto-Submitted: auto-generated\r$/m);
    assert.match(messageId(mail) ?? '', /^<[0-9a-f-]{36}@localhost>/);
    assert.match(mail.raw, /^Content-Type: multipart\/alternative/m);
  });

  it('E02 waits while the server refuses it, and goes out without help afterwards', async () => {
    service.mail.refuse = true;
    const emails = Array.from({ length: 15 }, () => newEmail());
    const from = performance.now();
    for (const email of emails) await signUp(email);
    // What 15 sign-ups take one after another, with room for a slow machine.
    assert.ok(performance.now() - from < 10_000);
    await eventually(async () => (await retried(service)) > 0, 10_000);
    service.mail.refuse = false;
    for (const email of emails) {
      const token = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
      await service.auth.verifyEmail({ token });
    }
  });

  it('E02 carries the same Message-ID when it is delivered again', async () => {
    service.mail.failAfterwards = true;
    const email = newEmail();
    await signUp(email);
    await service.mail.next(email, /Confirm/);
    service.mail.failAfterwards = false;
    const received = () => service.mail.mails.filter(({ to }) => to === email);
    await eventually(() => received().length >= 2, 15_000);
    assert.equal(new Set(received().map(messageId)).size, 1);
    assert.equal(new Set(received().map(tokenIn)).size, 1);
  });

  it('E02 does not hold up the others if one cannot be delivered', async () => {
    const [bad, good] = [newEmail(), newEmail()];
    service.mail.refuseFor = bad;
    await signUp(bad);
    await signUp(good);
    await service.mail.next(good, /Confirm/);
    service.mail.refuseFor = undefined;
    await service.mail.next(bad, /Confirm/);
    const copies = service.mail.mails.filter(({ to }) => to === good);
    assert.equal(copies.length, 1);
  });

  it('E02 goes out without pauses if many have waited', async () => {
    service.mail.refuse = true;
    const emails = Array.from({ length: 60 }, () => newEmail());
    for (const email of emails) await signUp(email);
    service.mail.refuse = false;
    const from = performance.now();
    for (const email of emails) await service.mail.next(email, /Confirm/);
    // One a second would take a minute.
    assert.ok(performance.now() - from < 20_000);
  });

  it('E02 waits while nothing listens there, and is there after a restart', async () => {
    const port = await freePort();
    const env = { SMTP_URL: `smtp://127.0.0.1:${port}` };
    const alone = await startService({ env });
    await retrySoon(alone);
    const email = newEmail();
    await signUp(email, alone);
    await eventually(async () => (await retried(alone)) > 0, 10_000);
    await alone.app.stop();
    const server = new MailServer();
    await server.listen(port);
    const restarted = await startReplica(alone);
    const token = tokenIn(await server.next(email, /Confirm/)) ?? '';
    await restarted.auth.verifyEmail({ token });
    await restarted.app.stop();
    await server.close();
  });

  it('E02 goes out as soon as the server is back, however late the next attempt would be', async () => {
    const port = await freePort();
    const alone = await startService({ env: { SMTP_URL: `smtp://127.0.0.1:${port}` } });
    await sql(
      alone.databaseUrl,
      'update jobs.queue set retry_delay = 900, retry_delay_max = 1800, retry_backoff = false',
    );
    const emails = Array.from({ length: 4 }, () => newEmail());
    for (const email of emails) await signUp(email, alone);
    await eventually(async () => (await retried(alone)) === emails.length);
    const server = new MailServer();
    await server.listen(port);
    atEnd(() => server.close());
    for (const email of emails) await server.next(email, /Confirm/);
    await alone.app.stop();
  });

  it('E02 is not sent if its transaction fails to commit, and is sent once if that succeeds', async () => {
    const taken = await createAccount(service);
    const since = service.mail.mails.length;
    await sql(service.databaseUrl, FAIL_AT_COMMIT);
    const unsent = newEmail();
    await signUp(unsent);
    await signUp(taken);
    await service.mail.next(taken, /You already have/, since);
    await eventually(async () => (await retried(service, 'errands')) > 0);
    const all = () => service.mail.mails.slice(since).map(({ to }) => to);
    assert.deepEqual(all(), [taken]);
    const left = await sql(service.databaseUrl, 'select from accounts where email = $1', [unsent]);
    assert.deepEqual(left, []);
    await sql(service.databaseUrl, 'drop trigger refuse on accounts');
    await service.mail.next(unsent, /Confirm/, since);
    await errandsRun(service);
    assert.deepEqual(all(), [taken, unsent]);
  });

  it('keeps text that people typed on one line', async () => {
    const email = newEmail();
    const displayName = 'Pat\r\n\r\nBcc: victim@example.com\r\n.\r\nQUIT';
    await service.auth.signUp({ email, password: PASSWORD, displayName });
    const mail = await service.mail.next(email, /Confirm/);
    assert.match(mail.raw, /^To: /m);
    assert.doesNotMatch(mail.raw, /^(Bcc|QUIT)/m);
  });
});

const FAIL_AT_COMMIT = `
  create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'refused'; end $$;
  create constraint trigger refuse after insert on accounts
    deferrable initially deferred for each row execute function refuse();`;

/** Makes the queue try again after a second instead of five. */
function retrySoon(service: Service) {
  return sql(
    service.databaseUrl,
    'update jobs.queue set retry_delay = 1, retry_delay_max = 1, retry_backoff = false',
  );
}

/** How many mails, or errands, have been tried and wait to be tried again. */
async function retried(service: Service, queue = 'mail'): Promise<number> {
  const waiting = `select id from jobs.job where name = $1 and state = 'retry'`;
  return (await sql(service.databaseUrl, waiting, [queue])).length;
}
