import { setImmediate as nextTurn } from 'node:timers/promises';
import { Failure } from '../platform/failure.ts';

/** How many go together: more save little, and their answers would keep all other calls waiting. */
const MOST = 32;
/** How many crowds are under way at once: while one waits for the disk, the next need not. */
const AT_ONCE = 2;
/** How many are answered before other calls have their turn, and the answers leave. */
const IN_A_TURN = 8;
/** More than can be served in the time that they wait. */
const MAX_WAITING = 5000;

type Member<Question, Answer> = {
  question: Question;
  resolve(answer: Answer): void;
  reject(reason: unknown): void;
};

/**
 * Gathers questions that come while earlier ones are under way, and asks them together: one statement
 * for all of them takes little longer than for one. A question that comes alone is asked at once.
 *
 * `ask` returns the answers in the order of the questions. If it throws, all of them fail.
 */
export class Crowd<Question, Answer> {
  readonly #ask: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  readonly #waiting = new Set<Member<Question, Answer>>();
  #underWay = 0;
  #soon: NodeJS.Immediate | undefined;

  constructor(ask: (questions: readonly Question[]) => Promise<readonly Answer[]>) {
    this.#ask = ask;
  }

  /**
   * Returns the answer to a question. One whose `signal` fires before it is asked is not asked; the
   * caller stops waiting by itself. Throws `OVERLOADED` if too many are waiting.
   */
  async ask(question: Question, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    if (this.#waiting.size >= MAX_WAITING) throw tooMany();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const member = { question, resolve, reject };
    this.#waiting.add(member);
    const leave = () => {
      if (this.#waiting.delete(member)) reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    // All that arrive in one turn of the event loop go together.
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#depart();
    });
    return promise.finally(() => signal.removeEventListener('abort', leave));
  }

  #depart(): void {
    while (this.#underWay < AT_ONCE && this.#waiting.size > 0) {
      const members = [...this.#waiting].slice(0, MOST);
      for (const member of members) this.#waiting.delete(member);
      this.#underWay += 1;
      void this.#travel(members);
    }
  }

  async #travel(members: readonly Member<Question, Answer>[]): Promise<void> {
    let settle: (member: Member<Question, Answer>, place: number) => void;
    try {
      const answers = await this.#ask(members.map(({ question }) => question));
      settle = ({ resolve }, place) => resolve(answers[place] as Answer);
    } catch (error) {
      settle = ({ reject }) => reject(error);
    }
    this.#underWay -= 1;
    // The next statement runs while these answers are made.
    this.#depart();
    for (const [place, member] of members.entries()) {
      if (place > 0 && place % IN_A_TURN === 0) await nextTurn();
      settle(member, place);
    }
  }
}

function tooMany(): Failure {
  const message = 'too many calls wait for the database; try again in a moment';
  return new Failure('exhausted', 'OVERLOADED', message, { retryAfterMs: 1000 });
}
