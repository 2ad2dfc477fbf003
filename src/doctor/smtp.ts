import { parseConnectionUrl } from 'nodemailer/lib/shared';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { isLoopback } from '../platform/net.ts';
import { ANSWER_MS, type Finding, findings, nameOf, type Sentences } from './finding.ts';

export const SMTP = {
  'smtp.mailbox': { state: 'ok', says: 'none: mail is shown at /dev/mailbox and not sent' },
  'smtp.none': {
    state: 'warning',
    says: 'SMTP_URL is not set: mail waits in the outbox',
    todo: 'set it: nobody can verify an address or set a new password before',
  },
  'smtp.ok': { state: 'ok', says: '{host} takes mail, {secured}, {signedIn}' },
  'smtp.plain': {
    state: 'warning',
    says: 'the way to {host} is not encrypted: whoever listens on it gets the links that open accounts',
    todo: 'write smtps://, or switch STARTTLS on at the server',
  },
  'smtp.auth': {
    state: 'failure',
    says: '{host} refuses the user and password of SMTP_URL',
    todo: 'correct them; some servers want a password made for programs',
  },
  'smtp.no_auth': {
    state: 'failure',
    says: '{host} offers no way to sign in, and SMTP_URL has a user',
    todo: 'use the port for submission, 587 or 465, where servers let users in',
  },
  'smtp.refused': {
    state: 'failure',
    says: 'nothing listens at {host}: mail waits in the outbox',
    todo: 'correct the host and port of SMTP_URL; many networks close port 25',
  },
  'smtp.silent': {
    state: 'failure',
    says: '{host} does not answer: mail waits in the outbox',
    todo: 'look at whether a firewall drops packets; smtp:// does not work on a port for smtps://',
  },
  'smtp.unknown_host': {
    state: 'failure',
    says: 'the name of {host} does not resolve',
    todo: 'correct the host of SMTP_URL',
  },
  'smtp.tls': {
    state: 'failure',
    says: 'no TLS with {host}: {error}',
    todo: 'write smtps:// for port 465 and smtp:// for 587; the certificate has to name the host and be valid',
  },
  'smtp.other': {
    state: 'failure',
    says: '{host} ends the conversation: {error}',
    todo: 'look at the log of the mail server',
  },
} as const satisfies Sentences;

const say = findings(SMTP);

/** Whether mail could be handed over. Signs in if there is a user, and sends nothing. */
export async function checkSmtp(
  url: string | undefined,
  hasMailbox: boolean,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (url === undefined) return [say(hasMailbox ? 'smtp.mailbox' : 'smtp.none')];
  const { auth, ...options } = parseConnectionUrl(url);
  const host = `${options.host}:${options.port ?? (options.secure ? 465 : 587)}`;
  const limits = {
    connectionTimeout: ANSWER_MS,
    greetingTimeout: ANSWER_MS,
    socketTimeout: ANSWER_MS,
  };
  const connection = new SMTPConnection({ ...options, ...limits });
  signal.addEventListener('abort', () => connection.close(), { once: true });
  try {
    const startedAt = performance.now();
    await called(connection, (done) => connection.connect(done));
    const ms = performance.now() - startedAt;
    // Its types do not have it.
    const { allowsAuth } = connection as unknown as { allowsAuth: boolean };
    if (auth && !allowsAuth) return [say('smtp.no_auth', { host })];
    if (auth) await called(connection, (done) => connection.login(auth, done));
    const secured = connection.secure ? 'with TLS' : 'without TLS';
    const signedIn = auth ? 'and knows our user' : 'without a user';
    const found = [say('smtp.ok', { host, secured, signedIn }, ms)];
    if (!connection.secure && !isLoopback(options.host ?? '')) {
      found.push(say('smtp.plain', { host }));
    }
    return found;
  } catch (error) {
    return [failure(error, host)];
  } finally {
    connection.quit();
    connection.close();
  }
}

/** Errors arrive as an event until the callback is known, and by it afterwards. */
function called(
  connection: SMTPConnection,
  begin: (done: (error?: Error | null) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.once('error', reject);
    begin((error) => (error ? reject(error) : resolve()));
  });
}

function failure(error: unknown, host: string): Finding {
  const { code, responseCode } = error as { code?: string; responseCode?: number };
  const message = error instanceof Error ? error.message : '';
  const values = { host, error: String(responseCode ?? nameOf(error)) };
  if (code === 'EAUTH') return say('smtp.auth', values);
  if (code === 'ETLS' || /certificate|SSL|TLS/i.test(message)) return say('smtp.tls', values);
  if (code === 'ETIMEDOUT') return say('smtp.silent', values);
  if (/ECONNREFUSED/.test(message)) return say('smtp.refused', values);
  if (code === 'EDNS' || /ENOTFOUND|EAI_AGAIN/.test(message)) {
    return say('smtp.unknown_host', values);
  }
  return say('smtp.other', values);
}
