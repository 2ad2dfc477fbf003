import { createHash } from 'node:crypto';
import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import { canonicalJson } from './canonical-json.ts';
import type { StoredEvent } from './stored-event.ts';

const SEAL_PURPOSE = 'audit-seal';
const SEAL_MAC_BYTES = 16;

/** An event's place: its position, and the hash of the one before it in hex. */
export type Place = { position: number; previousHash: string };

/** What the first event of all follows. */
export const GENESIS = '0'.repeat(64);

/**
 * The hash of an event at its place, in hex: SHA-256 of its canonical form. What has no value is left
 * out, so that fields which come with later versions change no hash of before.
 */
export function eventHash(event: StoredEvent, { position, previousHash }: Place): string {
  const canonical = canonicalJson({
    actor: event.actor ?? undefined,
    actor_type: event.actorType ?? undefined,
    api_key_id: event.apiKeyId ?? undefined,
    details: event.details,
    event_id: event.id,
    ip_address_hash: commitment(event.ipAddress, event.ipSalt, event.ipHash),
    occurred_at: event.occurredAt,
    outcome: event.outcome,
    personal_hash: commitment(event.personal, event.personalSalt, event.personalHash),
    position,
    previous_hash: previousHash,
    reason: event.reason ?? undefined,
    request_id: event.requestId,
    subject: event.subject ?? undefined,
    type: event.type,
  });
  return createHash('sha256').update(canonical).digest('hex');
}

/**
 * What stands in the canonical form for something that can be erased: its salted hash, which is the only
 * thing that is kept of it then. All in hex.
 */
export function commitment(
  value: string | null,
  salt: string | null,
  keptHash: string | null,
): string | undefined {
  if (value === null) return keptHash ?? undefined;
  return createHash('sha256')
    .update(Buffer.from(salt ?? '', 'hex'))
    .update(value)
    .digest('hex');
}

/** Says that a hash is ours: a byte for the key's version, and the beginning of a MAC. In hex. */
export function sealOf(keyring: Keyring, hash: string, version = keyring.current): string {
  const mac = keyring.mac(SEAL_PURPOSE, hash, version).subarray(0, SEAL_MAC_BYTES);
  return Buffer.concat([Buffer.of(version), mac]).toString('hex');
}

/**
 * Whether a seal is right. One under a master key that has been retired can't be told from a forged one
 * and passes: the chain's end, which is always under a current key, covers the hash too.
 */
export function isSealed(keyring: Keyring, hash: string, seal: string | null): boolean {
  const bytes = Buffer.from(seal ?? '', 'hex');
  const version = bytes[0];
  if (version === undefined) return false;
  if (!keyring.has(version)) return true;
  return equalInConstantTime(Buffer.from(sealOf(keyring, hash, version), 'hex'), bytes);
}
