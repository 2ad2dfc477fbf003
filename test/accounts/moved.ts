import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, newEmail, signedIn } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';

/** Asks for another address. Returns the token that is mailed to it. */
export async function changeToken(
  service: Service,
  who: { accessToken: string },
  newAddress: string,
): Promise<string> {
  await accountOf(service, who).changeEmail({ newEmail: newAddress });
  return tokenIn(await service.mail.next(newAddress, /Confirm your new/)) ?? '';
}

/** A person whose address was changed a moment ago. */
export async function moved(service: Service) {
  const person = await signedIn(service);
  const to = newEmail();
  const token = await changeToken(service, person, to);
  await service.client(AccountService).confirmEmailChange({ token });
  return { ...person, to };
}
