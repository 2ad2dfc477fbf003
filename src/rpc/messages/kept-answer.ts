import { type DescMessage, type Message, toBinary } from '@bufbuild/protobuf';
import { LRUCache } from 'lru-cache';
import type { Principal } from '../../sessions/principal.ts';

/** An answer with its message and its bytes takes three times what is known of the credential. */
const KEPT = 16_384;

const bytes = new WeakMap<Message, Buffer>();

/**
 * Encodes an answer once, for a method that gives the same answer again and again. The message must
 * not change from here on.
 */
export function keepAnswer<T extends Message>(schema: DescMessage, message: T): T {
  bytes.set(message, encode(schema, message));
  return message;
}

/**
 * What is said of a credential that is good, made and encoded once for each principal: it stays the same
 * for as long as nothing of the principal changes. The answers given last are kept.
 */
export function keepAnswers<T extends Message>(
  schema: DescMessage,
  make: (principal: Principal) => T,
): (principal: Principal) => T {
  const kept = new LRUCache<Principal, T>({ max: KEPT });
  return (principal) => {
    const known = kept.get(principal);
    if (known) return known;
    const message = keepAnswer(schema, make(principal));
    kept.set(principal, message);
    return message;
  };
}

/** The bytes of an answer: those that were kept, or new ones. */
export function answerBytes(schema: DescMessage, message: Message): Buffer {
  return bytes.get(message) ?? encode(schema, message);
}

/** A message in its binary form, as node's streams take it. */
export function encode(schema: DescMessage, message: Message): Buffer {
  const binary = toBinary(schema, message);
  return Buffer.from(binary.buffer, binary.byteOffset, binary.byteLength);
}
