import { tokenIn } from '../harness/mail-server.ts';
import { NEW_PASSWORD } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';

/** Passwords that the policy accepts. */
export const PHRASES = ['violet', 'amber', 'indigo', 'scarlet', 'ochre', 'teal', 'umber'].map(
  (colour) => `seven ${colour} kettles on a raft`,
);

/** Asks for a reset link, and returns its token. */
export async function resetToken(service: Service, email: string): Promise<string> {
  const since = service.mail.mails.length;
  await service.auth.requestPasswordReset({ email });
  return tokenIn(await service.mail.next(email, /Set a new password/, since)) ?? '';
}

export function reset(service: Service, token: string, newPassword = NEW_PASSWORD) {
  return service.auth.resetPassword({ token, newPassword });
}
