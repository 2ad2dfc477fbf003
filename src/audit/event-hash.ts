import { createHash } from 'node:crypto';
import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import { canonicalJson } from './canonical-json.ts';
import type { StoredEvent } from './stored-event.ts';

const SEAL_PURPOSE = 'audit-seal';
const SEAL_MAC_BYTES = 16;

/** An event's place: its position, and the hash (hex) of the event before it. */
export type Place = { position: number; previousHash: string };

/** The hash that the very first event follows. */
export const GENESIS = '0'.repeat(64);

/**
 * Returns the hash (hex) of an event at its place: SHA-256 of its canonical form. That is a format,
 * which auditors compute too (docs/audit.md), so its members are written out here. Those without a
 * value are left out, so that a field that a later version adds changes no earlier hash.
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
 * Returns what the canonical form has in place of a value that can be erased: its salted hash, which
 * outlives it. Salts and hashes are in hex.
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

/**
 * Returns the proof that a hash is ours (hex): a byte for the key's version, and the start of a MAC.
 */
export function sealOf(keyring: Keyring, hash: string, version = keyring.current): string {
  const mac = keyring.mac(SEAL_PURPOSE, hash, version).subarray(0, SEAL_MAC_BYTES);
  return Buffer.concat([Buffer.of(version), mac]).toString('hex');
}

/**
 * Returns whether a seal is right. One under a retired master key can't be checked and passes: the
 * chain's end, which is always under a current key, covers the hash too.
 */
export function isSealed(keyring: Keyring, hash: string, seal: string | null): boolean {
  const bytes = Buffer.from(seal ?? '', 'hex');
  const version = bytes[0];
  if (version === undefined) return false;
  if (!keyring.has(version)) return true;
  return equalInConstantTime(Buffer.from(sealOf(keyring, hash, version), 'hex'), bytes);
}
