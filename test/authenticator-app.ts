import { createHmac } from 'node:crypto';
import type { Client } from '@connectrpc/connect';
import { AccountService } from '../gen/countersign/v1/account_service_pb.ts';
import type { MfaChallenge } from '../gen/countersign/v1/mfa_pb.ts';
import { noteSecret } from './harness/logs.ts';
import { PASSWORD, signedIn } from './harness/people.ts';
import type { Service } from './harness/service.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The code that an authenticator app shows: RFC 6238 by the letter, not by the service's library. */
export function appCode(secret: string, at: Date, stepsLater = 0): string {
  const bits = [...secret].map((c) => ALPHABET.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at.getTime() / 30_000) + stepsLater));
  const mac = createHmac('sha1', key).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  const number = (mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000;
  return String(number).padStart(6, '0');
}

export type Enrolled = {
  email: string;
  accessToken: string;
  account: Client<typeof AccountService>;
  secret: string;
  recoveryCodes: string[];
};

/** A person with an authenticator app, who has just signed in. */
export async function enrolled(service: Service): Promise<Enrolled> {
  const { email, accessToken } = await signedIn(service);
  const account = service.client(AccountService, 'grpc', accessToken);
  const { secret } = await account.beginTotpEnrollment({});
  const code = appCode(secret, service.clock.now());
  const { recoveryCodes } = await account.confirmTotpEnrollment({ code });
  for (const each of recoveryCodes) noteSecret(each);
  // The code that confirmed is used up, and so is its time.
  service.clock.advance(30_000);
  return { email, accessToken, account, secret, recoveryCodes };
}

/** Sends the password, and returns the challenge that follows. */
export async function challenged(
  service: Service,
  email: string,
  password = PASSWORD,
): Promise<MfaChallenge> {
  const { outcome } = await service.auth.login({ email, password, deviceLabel: 'test' });
  if (outcome.case !== 'mfa') throw new Error('no second factor was asked for');
  return outcome.value;
}
