import {
  type DescMessage,
  type JsonWriteOptions,
  type Message,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf';
import { lruCache } from '../../platform/lru-cache.ts';
import type { Principal } from '../../sessions/principal.ts';

/** The forms of an answer that have been asked for. */
type Forms = { binary?: Buffer; json?: string };

const kept = new WeakMap<Message, Forms>();

/**
 * Encodes an answer once that a method returns many times, in each form that callers ask for. The
 * message must not change afterwards.
 */
export function keepAnswer<T extends Message>(message: T): T {
  kept.set(message, {});
  return message;
}

/** Gives an answer its binary form, for those that an encoder would be slow to make. */
export function keepBinary<T extends Message>(message: T, binary: Buffer): T {
  kept.set(message, { binary });
  return message;
}

/**
 * Makes and encodes the answer about a valid credential once for each principal: it does not change
 * until something about the principal does. Keeps the `max` answers that were used last.
 */
export function keepAnswers<T extends Message>(
  max: number,
  make: (principal: Principal) => T,
): (principal: Principal) => T {
  const answers = lruCache<Principal, T>(max);
  return (principal) => {
    const known = answers.get(principal);
    if (known) return known;
    const message = keepAnswer(make(principal));
    answers.set(principal, message);
    return message;
  };
}

/** The bytes of an answer, encoded now unless they are kept. */
export function answerBytes(schema: DescMessage, message: Message): Buffer {
  const forms = kept.get(message);
  if (!forms) return encode(schema, message);
  forms.binary ??= encode(schema, message);
  return forms.binary;
}

/** An answer in JSON, encoded now unless it is kept. */
export function answerJson(
  schema: DescMessage,
  message: Message,
  options: Partial<JsonWriteOptions>,
): string {
  const forms = kept.get(message);
  if (!forms) return toJsonString(schema, message, options);
  forms.json ??= toJsonString(schema, message, options);
  return forms.json;
}

/** The binary form of a message, as a `Buffer` over the same memory. */
export function encode(schema: DescMessage, message: Message): Buffer {
  const binary = toBinary(schema, message);
  return Buffer.from(binary.buffer, binary.byteOffset, binary.byteLength);
}
