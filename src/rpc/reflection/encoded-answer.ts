import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** `ServerReflectionResponse.file_descriptor_response`, and `FileDescriptorResponse.file_descriptor_proto`. */
const RESPONSE = 4;
const FILE = 1;

/**
 * Appends encoded files to the encoded rest of an answer. It takes the memory of the answer alone, once:
 * anyone may ask for many, and an encoder takes it several times over.
 */
export function withFiles(rest: Uint8Array, files: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const file of files) parts.push(prefix(FILE, file.length), file);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([rest, prefix(RESPONSE, length), ...parts]);
}

function prefix(field: number, length: number): Uint8Array {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length).finish();
}
