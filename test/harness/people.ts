import { v7 as uuidv7 } from 'uuid';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { readConfig } from '../../src/config.ts';
import { hashPassword } from '../../src/passwords/password-hash.ts';
import { sql } from './database.ts';
import { eventually } from './eventually.ts';
import { noteSecret } from './logs.ts';
import { tokenIn } from './mail-server.ts';
import type { Service } from './service.ts';

export const PASSWORD = 'correct horse battery staple';
/** Another one that the policy accepts. */
export const NEW_PASSWORD = 'seven violet kettles on a raft';
/** The id of nothing. */
export const UNKNOWN_ID = '01890000-0000-7000-8000-000000000000';

let people = 0;

/** An address that no other test uses. */
export function newEmail(): string {
  people += 1;
  return `person-${process.pid}-${people}@example.com`;
}

/** Signs a new person up, reads the mail, and verifies the address. */
export async function signUp(service: Service, password = PASSWORD): Promise<string> {
  const email = newEmail();
  await service.auth.signUp({ email, password, displayName: 'Pat' });
  const mail = await service.mail.next(email, /Confirm/);
  await service.auth.verifyEmail({ token: tokenIn(mail) ?? '' });
  return email;
}

/**
 * A person whose address is verified, put into the database as signing up and following the mailed link
 * would have, except for their events and mails. Uses those calls if the database is embedded.
 */
export async function createAccount(service: Service, password = PASSWORD): Promise<string> {
  if (!service.env['DATABASE_URL']) return signUp(service, password);
  const email = newEmail();
  noteSecret(password);
  await sql(
    service.databaseUrl,
    `with account as (
       insert into accounts (id, email, canonical_email, display_name, state, roles, created_at,
         updated_at, email_verified_at)
       values ($1, $2, $2, 'Pat', 'active', '{user}', $3, $3, $3) returning id)
     insert into password_credentials select id, $4, $3 from account`,
    [uuidv7(), email, service.clock.now(), await hashFor(service, password)],
  );
  return email;
}

const hashes = new Map<string, Promise<string>>();

/** As the service would make it, once for everyone with the password. */
function hashFor({ env }: Service, password: string): Promise<string> {
  const { argon2 } = readConfig(env, () => '');
  const key = JSON.stringify([argon2, password]);
  const hash = hashes.get(key) ?? hashPassword(password, argon2);
  hashes.set(key, hash);
  return hash;
}

/** Signs in and returns the tokens. */
export async function signIn(
  service: Service,
  email: string,
  password = PASSWORD,
): Promise<Tokens> {
  const { outcome } = await service.auth.login({ email, password, deviceLabel: 'test' });
  if (outcome.case !== 'tokens') throw new Error('no tokens');
  return outcome.value;
}

/** A person who has just signed in. */
export async function signedIn(
  service: Service,
  create: typeof createAccount = createAccount,
): Promise<Tokens & { email: string }> {
  const email = await create(service);
  return { ...(await signIn(service, email)), email };
}

export type Person = Tokens & { email: string; userId: string };

/** A person with these roles, by default those of everyone, who has just signed in. */
export async function person(service: Service, ...roles: string[]): Promise<Person> {
  const email = await createAccount(service);
  if (roles.length > 0) {
    await sql(service.databaseUrl, 'update accounts set roles = $2 where email = $1', [
      email,
      roles,
    ]);
  }
  const tokens = await signIn(service, email);
  return { ...tokens, email, userId: userIdOf(tokens) };
}

/**
 * A person with a role that was put into the database just now: a replica hears of it a little later.
 */
export async function personWithNew(service: Service, role: string): Promise<Person> {
  let who: Person | undefined;
  await eventually(async () => {
    who = await person(service, role);
    const { principal } = await service.sessions.introspectToken({ token: who.accessToken });
    return principal !== undefined && principal.permissions.length > 0;
  });
  if (!who) throw new Error('nobody');
  return who;
}

/** The claims of an access token. */
export function claimsOf(accessToken: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString());
}

export function userIdOf({ accessToken }: { accessToken: string }): string {
  return String(claimsOf(accessToken)['sub']);
}

/** AccountService as the holder of a token calls it. */
export function accountOf(service: Service, { accessToken }: { accessToken: string }) {
  return service.client(AccountService, 'grpc', accessToken);
}

/** Whether a replica accepts an access token. */
export async function isActive(at: Service, token: string): Promise<boolean> {
  return (await at.sessions.introspectToken({ token })).active;
}
