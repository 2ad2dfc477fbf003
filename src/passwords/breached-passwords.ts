import { createHash } from 'node:crypto';
import { boundedBody } from '../platform/bounded-body.ts';
import { type Breaker, type Breakers, isLeftAlone } from '../platform/breakers.ts';
import { errorFields, type Log } from '../platform/log.ts';

const TIMEOUT_MS = 1000;
const FAULTS_TO_OPEN = 5;
const REST_MS = 10_000;
/** An answer has some 2,000 lines of 40 bytes. */
const MAX_BYTES = 1024 * 1024;
/** The last 35 of the 40 hex digits of a SHA-1, and how often that password was seen. */
const LINE = /^([0-9A-F]{35}):(\d+)$/i;

/**
 * Looks passwords up among breached ones by the range protocol of Pwned Passwords
 * (https://haveibeenpwned.com/API/v3#PwnedPasswords). The server learns five hex digits of the
 * password's SHA-1, which a millionth of all passwords share; someone who watches the connection can't
 * even tell those from the length of the answer (`Add-Padding`).
 *
 * If the server fails or does not answer within a second, the password counts as not breached. After
 * five failures in a row the server is left alone for `restMs` (W13).
 */
export class BreachedPasswords {
  readonly #url: string;
  readonly #log: Log;
  readonly #breaker: Breaker;

  constructor(
    url: string,
    { log, breakers }: { log: Log; breakers: Breakers },
    { restMs = REST_MS } = {},
  ) {
    this.#url = url.replace(/\/+$/, '');
    this.#log = log;
    this.#breaker = breakers.add('breached_passwords', { faults: FAULTS_TO_OPEN, restMs });
  }

  /** Whether the normalised password is known to be breached. Throws only the reason of `signal`. */
  async includes(password: string, signal: AbortSignal): Promise<boolean> {
    const digest = createHash('sha1').update(password).digest('hex').toUpperCase();
    try {
      // Without the caller's signal: a caller who leaves says nothing about the server.
      const counts = await this.#breaker.run(() => this.#range(digest.slice(0, 5)));
      return (counts.get(digest.slice(5)) ?? 0) > 0;
    } catch (error) {
      // The failures that opened the breaker have been logged.
      if (!isLeftAlone(error)) this.#logFailure(error);
      return false;
    } finally {
      signal.throwIfAborted();
    }
  }

  async #range(prefix: string): Promise<Map<string, number>> {
    const response = await fetch(`${this.#url}/${prefix}`, {
      headers: { 'Add-Padding': 'true', 'User-Agent': 'countersign' },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new UnusableAnswer(`status ${response.status}`);
    }
    return parse(await textOf(response));
  }

  #logFailure(error: unknown): void {
    const status = error instanceof UnusableAnswer ? error.message : undefined;
    const fields = { component: 'breached passwords', ...errorFields(error), status };
    this.#log.warn({ ...fields, stack: undefined }, 'a new password was not looked up');
  }
}

/** An answer that breaks the protocol. The message quotes nothing of it. */
class UnusableAnswer extends Error {
  override readonly name = 'UnusableAnswer';
}

async function textOf(response: Response): Promise<string> {
  const body = await boundedBody(response, MAX_BYTES);
  if (!body) throw new UnusableAnswer('too long');
  return body.toString();
}

function parse(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of text.trim().split(/\r?\n/)) {
    const [, suffix, count] = LINE.exec(line) ?? [];
    if (suffix === undefined) throw new UnusableAnswer('malformed');
    counts.set(suffix.toUpperCase(), Number(count));
  }
  return counts;
}
