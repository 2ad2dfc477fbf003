import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';

/** Of base64url: WebAuthn section 4 allows a credential id 1023 bytes. */
const MAX_ID_CHARACTERS = 1364;

const base64url = z.string().regex(/^[\w-]+$/);
const credentialId = base64url.max(MAX_ID_CHARACTERS);

/** WebAuthn section 5.8.4. Other names are dropped. */
const transports = z.enum(['usb', 'nfc', 'ble', 'smart-card', 'hybrid', 'internal']);

const common = { id: credentialId, rawId: credentialId, type: z.literal('public-key') };

const registration = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url,
    attestationObject: base64url,
    transports: z
      .array(z.unknown())
      .transform((names) => [...new Set(names)].filter(isTransport))
      .optional()
      .catch([]),
  }),
});

const authentication = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url,
    authenticatorData: base64url,
    signature: base64url,
    userHandle: z.string().nullish(),
  }),
});

const clientData = z.object({
  challenge: base64url,
  // We never ask for passkeys from within another origin's page.
  crossOrigin: z.literal(false).optional(),
  topOrigin: z.undefined().optional(),
});

/** What an authenticator answered, and the challenge that it claims to answer. Nothing is verified. */
export type Answer<Response> = { response: Response; challenge: string };

/** Reads a `RegistrationResponseJSON` (WebAuthn section 5.1.9). Undefined if it is malformed. */
export function readRegistration(json: string): Answer<RegistrationResponseJSON> | undefined {
  const parsed = registration.safeParse(parseJson(json));
  if (!parsed.success) return undefined;
  const { response, ...rest } = parsed.data;
  return answer({
    ...rest,
    response: { ...response, transports: response.transports ?? [] },
    clientExtensionResults: {},
  });
}

/** Reads an `AuthenticationResponseJSON` (WebAuthn section 5.1.9). Undefined if it is malformed. */
export function readAuthentication(json: string): Answer<AuthenticationResponseJSON> | undefined {
  const parsed = authentication.safeParse(parseJson(json));
  if (!parsed.success) return undefined;
  const { userHandle, ...response } = parsed.data.response;
  return answer({
    ...parsed.data,
    response: userHandle ? { ...response, userHandle } : response,
    clientExtensionResults: {},
  });
}

function answer<R extends { response: { clientDataJSON: string } }>(
  response: R,
): Answer<R> | undefined {
  const text = Buffer.from(response.response.clientDataJSON, 'base64url').toString();
  const parsed = clientData.safeParse(parseJson(text));
  return parsed.success ? { response, challenge: parsed.data.challenge } : undefined;
}

function isTransport(name: unknown): name is z.output<typeof transports> {
  return transports.safeParse(name).success;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
