import { type RegistrationResponseJSON, verifyRegistrationResponse } from '@simplewebauthn/server';
import { decodeAttestationObject } from '@simplewebauthn/server/helpers';
import type { RelyingParty } from './relying-party.ts';

/** COSE's numbers for EdDSA, ES256 and RS256 (Windows Hello), the preferred one first. */
export const ALGORITHMS = [-8, -7, -257];

const MAX_KEY_BYTES = 2048;

/** What is stored of a new passkey. */
export type RegisteredCredential = {
  credentialId: string;
  publicKey: Uint8Array;
  counter: number;
  transports: readonly string[];
  synced: boolean;
};

/**
 * Verifies a new credential (WebAuthn section 7.1): its challenge, origin, relying party and user
 * verification. Undefined if anything is wrong.
 */
export async function verifyRegistration(
  relyingParty: RelyingParty,
  response: RegistrationResponseJSON,
  expectedChallenge: string,
): Promise<RegisteredCredential | undefined> {
  try {
    if (!hasPlainAttestation(response)) return undefined;
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response,
      expectedChallenge,
      expectedOrigin: [...relyingParty.origins],
      expectedRPID: relyingParty.id,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    });
    const credential = registrationInfo?.credential;
    if (!verified || !credential || credential.id !== response.id) return undefined;
    if (credential.publicKey.length > MAX_KEY_BYTES) return undefined;
    return {
      credentialId: credential.id,
      publicKey: credential.publicKey,
      counter: credential.counter,
      transports: response.response.transports ?? [],
      synced: registrationInfo.credentialDeviceType === 'multiDevice',
    };
  } catch {
    // The library throws for every wrong answer. It touches nothing but its arguments.
    return undefined;
  }
}

/**
 * Whether the answer names no certificates. We ask for no attestation, so browsers strip it. An answer
 * that still has one would make the library check certificates of the caller's choice, and fetch the
 * revocation lists that they name.
 */
function hasPlainAttestation({ response }: RegistrationResponseJSON): boolean {
  const bytes = new Uint8Array(Buffer.from(response.attestationObject, 'base64url'));
  const attestation = decodeAttestationObject(bytes);
  const format = attestation.get('fmt');
  if (format === 'packed') return !attestation.get('attStmt').get('x5c');
  return format === 'none';
}
