import {
  type DescMessage,
  fromJson,
  fromJsonString,
  type JsonReadOptions,
  type JsonValue,
  type Message,
} from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';

/** As deep as messages nest. */
const MAX_DEPTH = 100;

const decoder = new TextDecoder();

/** Reads a request in JSON as its message. It is refused as by Connect, whose words name the field. */
export function parseJson(
  schema: DescMessage,
  bytes: Uint8Array,
  options: Partial<JsonReadOptions>,
): Message {
  try {
    const text = decoder.decode(bytes);
    const value = unambiguous(text);
    return value === undefined
      ? fromJsonString(schema, text, options)
      : fromJson(schema, value, options);
  } catch (error) {
    throw ConnectError.from(error, Code.InvalidArgument);
  }
}

/**
 * The value of a JSON text that certainly has no key twice; undefined if that is not certain. protobuf
 * looks for such keys letter by letter, which takes longer than all the rest. Here it is enough that the
 * text has no more strings than its value: of two equal keys, one is gone.
 */
function unambiguous(text: string): JsonValue | undefined {
  if (text.includes('\\')) return undefined;
  const value: JsonValue = JSON.parse(text);
  return 2 * stringsIn(value) === quotesIn(text) ? value : undefined;
}

function quotesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count += 1;
  return count;
}

/** How many strings a value has, keys among them; not a number if it nests deeply. */
function stringsIn(value: JsonValue, depth = 0): number {
  if (typeof value === 'string') return 1;
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > MAX_DEPTH) return NaN;
  let count = 0;
  if (Array.isArray(value)) {
    for (const each of value) count += stringsIn(each, depth + 1);
    return count;
  }
  for (const key in value) count += 1 + stringsIn(value[key] ?? null, depth + 1);
  return count;
}
