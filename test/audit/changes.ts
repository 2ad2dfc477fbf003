import { create, type DescService } from '@bufbuild/protobuf';
import type { CallOptions, Client } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { signedIn } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';

/**
 * Makes a call and waits for its end: of a stream, `(options) => Array.fromAsync(admin.exportUsers({},
 * options))`.
 */
export type Call = (options: CallOptions) => Promise<unknown>;

/** A call, and the events that it must leave, in the order of their names, each as often as it comes. */
type Made = [call: Call, ...events: string[]];

/**
 * Calls of one method, made in this order. Any number of people, whom the row creates, may call a
 * method.
 */
export type Row = (service: Service) => Promise<{
  /** Acknowledged. */
  done: Made[];
  /** Refused. */
  refused?: Made[];
}>;

/** A row for every method of a service, except those that only read. */
export type Changes<S extends DescService> = Record<keyof S['method'], Row | 'reads'>;

/** A person who has just signed in. */
export async function person(service: Service) {
  const { email, accessToken, refreshToken, sessionId } = await signedIn(service);
  const account = service.client(AccountService, 'grpc', accessToken);
  const sessions = service.client(SessionService, 'grpc', accessToken);
  const auth = service.client(AuthService, 'grpc', accessToken);
  return { email, accessToken, refreshToken, sessionId, account, sessions, auth };
}

/** The token of the newest mail about something. */
export async function mailed(service: Service, email: string, subject: RegExp): Promise<string> {
  return tokenIn(await service.mail.next(email, subject)) ?? '';
}

/** Changes one's own name. */
export function named(account: Client<typeof AccountService>, displayName: string): Call {
  return (options) => account.updateMe({ user: create(UserSchema, { displayName }) }, options);
}
