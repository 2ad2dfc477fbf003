import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf';
import { unreadableRequest } from '../failures.ts';

/** Reads the bytes of a request as its message. Refuses bytes that are not one. */
export function parseRequest(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw unreadableRequest(error);
  }
}
