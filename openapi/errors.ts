import { Code } from '@connectrpc/connect';
import { codeToHttpStatus, codeToString } from '@connectrpc/connect/protocol-connect';
import type { Contract } from './contract.ts';
import type { Schema } from './rules.ts';

/** A reason, and its code if that is not what its own comment says. */
export type Named = { name: string; code?: Code };

type Reason = { name: string; prose: string; codes: readonly Code[] };

const PREFIX = 'ERROR_REASON_';
const REF = { $ref: '#/components/schemas/Error' };

/** Codes as comments write them. */
export const CODES: ReadonlyMap<string, Code> = new Map(
  Object.values(Code)
    .filter((code): code is Code => typeof code === 'number')
    .map((code) => [codeToString(code).toUpperCase(), code]),
).set('CANCELLED', Code.Canceled);

const CODE = new RegExp(`\\b(?:${[...CODES.keys()].join('|')})\\b`, 'g');

const NAMED = new RegExp(
  `\\b([A-Z][A-Z_]+[A-Z])\\b(?: \\((${[...CODES.keys()].join('|')})\\))?`,
  'g',
);

/** The errors of methods, by what the contract says about their reasons. */
export class Errors {
  readonly #reasons = new Map<string, Reason>();

  constructor(contract: Contract) {
    for (const value of contract.enumOf('ErrorReason').values) {
      if (value.number === 0) continue;
      const name = value.name.replace(PREFIX, '');
      const prose = contract.prose(value);
      const codes = [...prose.matchAll(CODE)].map(([code]) => CODES.get(code) as Code);
      if (codes.length === 0) throw new Error(`the comment of ${value.name} names no status code`);
      this.#reasons.set(name, { name, prose, codes });
    }
  }

  /** The reasons that a text names: `NOT_FOUND`, or `NAME_TAKEN (ABORTED)` if its code is another one. */
  named(text: string): Named[] {
    const found = [...text.matchAll(NAMED)].filter(([, name = '']) => this.#reasons.has(name));
    return found.map(([, name = '', code]) => {
      return { name, ...(code !== undefined && { code: CODES.get(code) as Code }) };
    });
  }

  /**
   * The answers to refused calls, by their status. What the call's own credential is refused with is
   * UNAUTHENTICATED, even if the same reason has another code elsewhere.
   */
  responses(reasons: readonly Named[], ofCredential: readonly string[]): Record<string, Schema> {
    const byStatus = new Map<number, Map<string, string>>();
    const refused = [
      ...ofCredential.map((name) => ({ name, code: Code.Unauthenticated })),
      ...reasons,
    ];
    for (const { name, code } of refused) {
      const { prose, codes } = this.#reason(name);
      // Those that come with several codes say when each of them does.
      const text = codes.length > 1 ? prose : (/^[\s\S]*?\.(?=\s|$)/.exec(prose)?.[0] ?? prose);
      for (const each of code === undefined ? codes : [code]) {
        const status = codeToHttpStatus(each);
        const found = byStatus.get(status) ?? new Map<string, string>();
        byStatus.set(status, found.set(name, text));
      }
    }
    const sorted = [...byStatus].sort(([a], [b]) => a - b);
    return Object.fromEntries(sorted.map(([status, found]) => [status, response(found)]));
  }

  #reason(name: string): Reason {
    const reason = this.#reasons.get(name);
    if (!reason) throw new Error(`there is no reason ${name}`);
    return reason;
  }

  /** The names of all reasons, with what they mean. */
  get all(): readonly Pick<Reason, 'name' | 'prose'>[] {
    return [...this.#reasons.values()];
  }
}

function response(reasons: ReadonlyMap<string, string>): Schema {
  const lines = [...reasons].map(([name, prose]) => `- \`${name}\`: ${prose}`);
  return { description: lines.join('\n'), content: { 'application/json': { schema: REF } } };
}

/** The answer to any call that is refused for no reason of its own. */
export const OTHER_ERRORS: Schema = {
  description:
    "Any other error: the service can't do it now (503 and 429, with `retry-after`), the caller gave up (499, 504), or the service failed (500).",
  content: { 'application/json': { schema: REF } },
};
