import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { atEnd } from '../harness/at-end.ts';
import { MailServer } from '../harness/mail-server.ts';
import { newEmail, PASSWORD } from '../harness/people.ts';
import { EVERY_FAULT } from '../harness/scale.ts';
import { type Service, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { Calls, during, every, FAULTS, LONG, wholeAgain } from './faults.ts';

/** What a connection is given up after on which the server has stopped answering, and what follows it. */
const GIVEN_UP_MS = 60_000;

describe('The mail server', () => {
  let proxy: TcpProxy;
  let mail: MailServer;
  let service: Service;

  before(async () => {
    mail = new MailServer();
    const url = await mail.listen();
    proxy = new TcpProxy(url);
    service = await startService({ env: { SMTP_URL: await proxy.listen(url) } });
    atEnd(async () => {
      proxy.close();
      await mail.close();
    });
  });

  const signUp = async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });
    return email;
  };
  const copies = (email: string) => mail.mails.filter(({ to }) => to === email);
  const idOf = ({ raw }: { raw: string }) => /^Message-ID: (.*)$/im.exec(raw)?.[1];

  for (const fault of FAULTS) {
    const skip = !EVERY_FAULT && fault.name !== 'reset' && LONG;
    it(`E02 W13 ${fault.name}: holds up no call, loses no mail, and sends all that wait when it is back`, {
      skip,
    }, async () => {
      const quiet = new Calls();
      const quietFrom = performance.now();
      const first = (await quiet.make(signUp)) ?? '';
      await mail.next(first, /Confirm/);
      const quietMs = performance.now() - quietFrom;
      const away = new Calls();
      const emails: string[] = [];
      const openedAt = await during(
        fault,
        proxy,
        every(500, async () => {
          const email = await away.make(signUp);
          if (email) emails.push(email);
        }),
      );
      emails.push(await signUp());
      // A batch that hangs on lost connections, or failed once, takes its time; later ones don't.
      await wholeAgain(openedAt + GIVEN_UP_MS, quietMs, async () => {
        return emails.every((email) => copies(email).length > 0);
      });
      await wholeAgain(performance.now(), quietMs, async () => {
        const { checks } = await service.app.readiness();
        return checks['smtp'] === 'ok';
      });
      const last = await signUp();
      await wholeAgain(performance.now(), quietMs, async () => copies(last).length > 0);
      assert.deepEqual([...quiet.refusals, ...away.refusals], []);
      assert.ok(away.median < 5 * quiet.median + 1000);
      for (const email of emails) assert.equal(new Set(copies(email).map(idOf)).size, 1, email);
    });
  }
});
