import { randomUUID } from 'node:crypto';

/** How many people sign in, in turn: sign-ins of one person wait for each other. */
export const PEOPLE = 64;
/** How many sign-ups and sign-ins wait at the same time. */
export const SIGN_IN_CROWD = 16;
/** How many clients refresh at the same time. */
export const CROWD = 32;

/** The address of a person who has an account. */
export function loginEmail(person: number): string {
  return `person-${person}@example.com`;
}

/** An address that nobody has. */
export function newEmail(): string {
  return `${randomUUID()}@example.com`;
}
