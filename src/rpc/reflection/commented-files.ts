import { existsSync, readFileSync } from 'node:fs';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** Beside the source, and beside the bundle. */
const PLACES = ['../../../gen/countersign.binpb', '../countersign.binpb'];

/** `FileDescriptorSet.file` and `FileDescriptorProto.name`. */
const FILE = 1;
const NAME = 1;

/**
 * Our own files of the schema as they were compiled, by their names: with the comments, which the
 * descriptors in code lack. Files of others come without: their comments are larger than the rest.
 */
export function commentedFiles(): ReadonlyMap<string, Uint8Array> {
  const places = PLACES.map((place) => new URL(place, import.meta.url));
  const place = places.find((each) => existsSync(each));
  if (!place) return new Map();
  const found = new Map<string, Uint8Array>();
  for (const file of fieldsOf(readFileSync(place), FILE)) {
    const [name = new Uint8Array()] = fieldsOf(file, NAME);
    const text = Buffer.from(name).toString();
    if (/^(?:countersign|envoy)\//.test(text)) found.set(text, file);
  }
  return found;
}

/** The values of one field of a message, if they have a length. */
function* fieldsOf(message: Uint8Array, number: number): Generator<Uint8Array> {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === number && type === WireType.LengthDelimited) yield reader.bytes();
    else reader.skip(type);
  }
}
