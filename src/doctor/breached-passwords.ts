import { documentAt } from './documents.ts';
import { type Finding, findings, nameOf, type Sentences } from './finding.ts';

export const BREACHED_PASSWORDS = {
  'breached_passwords.none': {
    state: 'ok',
    says: 'none: new passwords are compared with local lists',
  },
  'breached_passwords.ok': { state: 'ok', says: '{host} answers' },
  'breached_passwords.away': {
    state: 'warning',
    says: '{host} does not answer: {error}; new passwords pass without being looked up',
    todo: 'look at whether this machine may reach it, or unset COUNTERSIGN_PWNED_PASSWORDS_URL',
  },
  'breached_passwords.unusable': {
    state: 'warning',
    says: '{host} does not answer by the range protocol: status {status}; new passwords pass without being looked up',
    todo: 'correct COUNTERSIGN_PWNED_PASSWORDS_URL: five hex digits are put behind it',
  },
} as const satisfies Sentences;

const say = findings(BREACHED_PASSWORDS);

/** Whether breached passwords can be looked up: asks for those that begin with five zeros. */
export async function checkBreachedPasswords(
  url: string | undefined,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (url === undefined) return [say('breached_passwords.none')];
  const { host } = new URL(url);
  try {
    const { status, text, ms } = await documentAt(`${url.replace(/\/+$/, '')}/00000`, signal);
    if (status === 200 && /^[0-9A-F]{35}:\d+/im.test(text)) {
      return [say('breached_passwords.ok', { host }, ms)];
    }
    return [say('breached_passwords.unusable', { host, status })];
  } catch (error) {
    const name = signal.aborted ? 'no answer within 3 s' : nameOf(error);
    return [say('breached_passwords.away', { host, error: name })];
  }
}
