import { printable } from '../platform/printable.ts';

/** How long (ms) a question may take. */
const LIMIT_MS = 3000;
/** How long (ms) one answer may take, so that what asks can still say what is missing. */
export const ANSWER_MS = 2500;

/** `skipped`: it could not be asked, for a reason that another finding tells. */
export type State = 'ok' | 'skipped' | 'warning' | 'failure';

/** A sentence that `countersign doctor` may print. `{name}` stands for a value. */
type Sentence = { state: State; says: string; todo?: string };

/** The sentences about one dependency, by their codes. */
export type Sentences = Readonly<Record<string, Sentence>>;

/** What was found out about a dependency, and what to do about it: empty if nothing. */
export type Finding = {
  code: string;
  state: State;
  says: string;
  todo: string;
  /** How long (ms) the dependency took to answer, if it did. */
  ms?: number;
};

type Values = Readonly<Record<string, string | number>>;

/** Returns the function that makes findings of these sentences. */
export function findings<S extends Sentences>(sentences: S) {
  return (code: keyof S & string, values: Values = {}, ms?: number): Finding => {
    const { state, says, todo = '' } = sentences[code] as Sentence;
    const finding = { code, state, says: filled(says, values), todo: filled(todo, values) };
    return ms === undefined ? finding : { ...finding, ms: Math.round(ms * 10) / 10 };
  };
}

function filled(text: string, values: Values): string {
  const value = (whole: string, name: string) => printable(String(values[name] ?? whole));
  return text.replace(/\{(\w+)\}/g, value).replaceAll('\n', ' ');
}

/** Sentences that any check may end with: the code begins with its name. */
export const ANY_CHECK = {
  timeout: {
    state: 'failure',
    says: 'no answer within {limit} s',
    todo: 'look at whether it is overloaded, frozen, or behind a firewall that drops packets',
  },
  error: {
    state: 'failure',
    says: 'could not be checked: {error}',
    todo: 'look at the log of what was asked; if it says nothing, this is a bug of doctor',
  },
  skipped: { state: 'skipped', says: 'not asked: the database does not answer' },
} as const satisfies Sentences;

const anyFinding = findings(ANY_CHECK);

export function findingOf(
  check: string,
  kind: keyof typeof ANY_CHECK,
  values: Values = {},
): Finding {
  const finding = anyFinding(kind, values);
  return { ...finding, code: `${check}.${kind}` };
}

/**
 * Runs a check, and waits for it no longer than the limit: `signal` fires then. Never throws.
 */
export async function bounded(
  name: string,
  check: (signal: AbortSignal) => Promise<Finding[]>,
): Promise<Finding[]> {
  const expiry = new AbortController();
  const { promise: expired, resolve } = Promise.withResolvers<Finding[]>();
  const timer = setTimeout(() => {
    resolve([findingOf(name, 'timeout', { limit: LIMIT_MS / 1000 })]);
    expiry.abort();
  }, LIMIT_MS);
  const checked = check(expiry.signal).catch((error) => [
    findingOf(name, 'error', { error: nameOf(error) }),
  ]);
  try {
    return await Promise.race([checked, expired]);
  } finally {
    clearTimeout(timer);
    expiry.abort();
  }
}

/** The code of an error, or its name. Never its message, which may quote a secret. */
export function nameOf(error: unknown): string {
  return codeOf(error) ?? (error instanceof Error ? error.name : 'unknown');
}

/** The first code of an error and its causes: an SQLSTATE, or the system's name for a failure. */
export function codeOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; ) {
    const { code, errors, previous } = at as { code?: unknown; errors?: unknown[] } & {
      previous?: unknown;
    };
    if (typeof code === 'string' && code !== '') return code;
    at = at.cause ?? previous ?? errors?.[0];
  }
  return undefined;
}
