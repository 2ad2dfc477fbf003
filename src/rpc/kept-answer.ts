import { type DescMessage, type Message, toBinary } from '@bufbuild/protobuf';

const bytes = new WeakMap<Message, Buffer>();

/**
 * Encodes an answer once, for a method that gives the same answer again and again. The message must
 * not change from here on.
 */
export function keepAnswer<T extends Message>(schema: DescMessage, message: T): T {
  bytes.set(message, encode(schema, message));
  return message;
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
