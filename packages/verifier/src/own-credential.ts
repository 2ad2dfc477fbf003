import { within } from './until.ts';

/** A value, or where to get it each time: secrets rotate. */
export type Credential = string | (() => string | Promise<string>);

/** A credential as it is now. The function that gives it is somebody else's, and may never answer. */
export async function currentCredential<T extends Credential | undefined>(
  credential: T,
  timeoutMs: number,
): Promise<string | Extract<T, undefined>> {
  if (typeof credential !== 'function') return credential as string | Extract<T, undefined>;
  const message = `the function that gives the credential took longer than ${timeoutMs} ms`;
  return within((async () => credential())(), timeoutMs, message);
}

/** The headers with which a credential is presented. */
export async function headersOf(
  credential: Credential | undefined,
  timeoutMs: number,
): Promise<Record<string, string>> {
  const value = await currentCredential(credential, timeoutMs);
  if (!value) return {};
  return value.startsWith('csk_') ? { 'x-api-key': value } : { authorization: `Bearer ${value}` };
}
