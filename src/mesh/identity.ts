import type { Principal } from '../sessions/principal.ts';

/** The headers that name whom a request speaks for. Services behind a proxy believe them. */
const IDENTITY_HEADERS = [
  'x-countersign-subject',
  'x-countersign-session',
  'x-countersign-scopes',
  'x-countersign-roles',
] as const;

export type Identity = Readonly<Record<(typeof IDENTITY_HEADERS)[number], string>>;

/** A request that shadow mode lets through names nobody. */
export const NOBODY: Identity = {
  'x-countersign-subject': '',
  'x-countersign-session': '',
  'x-countersign-scopes': '',
  'x-countersign-roles': '',
};

/** All four, empty ones too: a client's own value must not take the place of one that is missing. */
export function identityOf(principal: Principal): Identity {
  const { subject, sessionId, permissions, roles, actors } = principal;
  return {
    'x-countersign-subject': subject,
    // Services take whoever has a session for the person who signed in (A09).
    'x-countersign-session': actors.length === 0 ? sessionId : '',
    // Those that the owner of the credential holds at this moment.
    'x-countersign-scopes': permissions.join(' '),
    'x-countersign-roles': roles.join(','),
  };
}

const OURS: ReadonlySet<string> = new Set(IDENTITY_HEADERS);

/**
 * Whether a header of a client's has to be removed, since it reads like one of ours: CGI and its heirs
 * turn `_`, `.` and `-` into the same character, and some all others that are no letters or digits
 * (M01). The four that are set are not removed.
 */
export function isForged(name: string): boolean {
  const isOurs = /^[^a-z\d]*x[^a-z\d]+countersign[^a-z\d]/i.test(name);
  return isOurs && !OURS.has(name.toLowerCase());
}

/** How long the names of forged headers may be together: an answer repeats them. */
const MAX_FORGED_LENGTH = 2048;

/** Whether there are more forged headers than a proxy could be told to remove. */
export function areTooMany(forged: readonly string[]): boolean {
  let length = 0;
  for (const name of forged) length += name.length;
  return length > MAX_FORGED_LENGTH;
}
