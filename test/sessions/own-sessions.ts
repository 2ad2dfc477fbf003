import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { signedIn, signIn } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';

/** SessionService as the holder of a token calls it. */
export function sessionsOf(service: Service, { accessToken }: { accessToken: string }) {
  return service.client(SessionService, 'grpc', accessToken);
}

/** A person with this many sessions, the first one first. */
export async function withSessions(service: Service, count: number): Promise<Tokens[]> {
  const first = await signedIn(service);
  const sessions: Tokens[] = [first];
  while (sessions.length < count) sessions.push(await signIn(service, first.email));
  return sessions;
}
