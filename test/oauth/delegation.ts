import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { newKey, newRobot } from '../api-keys/keys.ts';
import type { Person } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';

export const ORDERS = 'https://orders.test';
export const PAYMENTS = 'https://payments.test';
export const AUDIENCES = { COUNTERSIGN_EXCHANGE_AUDIENCES: `${ORDERS},${PAYMENTS}` };

/** A service account with a key, which exchanges tokens. */
export type Acting = {
  robot: string;
  keyId: string;
  secret: string;
  /** Returns the access token of an exchange. */
  exchange(
    subjectToken: string,
    request?: { audience?: string; scopes?: string[] },
  ): Promise<string>;
};

/** A service that may act for others with these scopes. */
export async function acting(
  service: Service,
  owner: Person,
  scopes: readonly string[],
  { role = 'admin' } = {},
): Promise<Acting> {
  const robot = await newRobot(service, role);
  const settings = { serviceAccountId: robot, scopes: ['tokens.exchange', ...scopes] };
  const { id: keyId, secret } = await newKey(service, owner, settings);
  const client = service.client(AuthService, 'grpc', secret);
  const exchange: Acting['exchange'] = async (subjectToken, request = {}) =>
    (await client.exchangeToken({ subjectToken, audience: ORDERS, ...request })).accessToken;
  return { robot, keyId, secret, exchange };
}
