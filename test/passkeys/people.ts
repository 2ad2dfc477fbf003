import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { accountOf, signedIn } from '../harness/people.ts';
import { type Service, type StartOptions, startService } from '../harness/service.ts';
import { Authenticator, ORIGIN, RP_ID } from './authenticator.ts';

/** A service whose passkeys belong to `RP_ID` and are used at `ORIGIN`. */
export function startPasskeyService(options: StartOptions = {}): Promise<Service> {
  return startService({
    ...options,
    env: {
      COUNTERSIGN_PUBLIC_URL: 'https://auth.example.com',
      COUNTERSIGN_PASSKEY_RP_ID: RP_ID,
      COUNTERSIGN_CORS_ORIGINS: ORIGIN,
      ...options.env,
    },
  });
}

/** Registers a passkey of a person. Returns its id. */
export async function register(
  service: Service,
  person: { accessToken: string },
  authenticator: Authenticator,
  displayName = 'Laptop',
): Promise<string> {
  const account = accountOf(service, person);
  const { optionsJson } = await account.beginPasskeyRegistration({});
  const credentialJson = authenticator.create(optionsJson);
  const { passkey } = await account.finishPasskeyRegistration({ credentialJson, displayName });
  return passkey?.passkeyId ?? '';
}

/** A person who has just signed in and has a passkey. */
export async function withPasskey(service: Service, authenticator = new Authenticator()) {
  const person = await signedIn(service);
  const passkeyId = await register(service, person, authenticator);
  return { person, authenticator, passkeyId };
}

/** The options of a sign-in in which the person chooses the passkey. */
export async function loginOptions(service: Service, challengeToken = ''): Promise<string> {
  return (await service.auth.beginPasskeyLogin({ challengeToken })).optionsJson;
}

/** Signs in by passkey. */
export async function signInByPasskey(
  service: Service,
  authenticator: Authenticator,
): Promise<Tokens> {
  const credentialJson = authenticator.get(await loginOptions(service));
  const { tokens } = await service.auth.finishPasskeyLogin({
    credentialJson,
    deviceLabel: 'phone',
  });
  if (!tokens) throw new Error('no tokens');
  return tokens;
}
