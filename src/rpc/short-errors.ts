import type { FailureDetails } from '../platform/failure.ts';

/**
 * By gRPC an error travels in headers, percent-encoded and in base64, and some clients take no more
 * than 8 KiB of headers in all. These bounds keep an error within that, whatever it repeats of a request.
 */
const MAX_TEXT_BYTES = 512;
const MAX_FIELDS_BYTES = 2048;

/** A text of an error, cut off if it would be too long for the headers of an answer. */
export function shortText(text: string): string {
  // A surrogate without its partner can't be percent-encoded.
  if (text.length * 3 <= MAX_TEXT_BYTES) return text.toWellFormed();
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_TEXT_BYTES) return text.toWellFormed();
  let end = MAX_TEXT_BYTES;
  while (isContinuation(bytes[end])) end -= 1;
  return `${bytes.toString('utf8', 0, end)}…`;
}

/** As many fields at fault as fit into the headers of an answer, from the first on. */
export function fewFields(
  fields: NonNullable<FailureDetails['fields']>,
): { path: string; description: string }[] {
  const few: { path: string; description: string }[] = [];
  let bytes = 0;
  for (const field of fields) {
    const short = { path: shortText(field.path), description: shortText(field.description) };
    bytes += Buffer.byteLength(short.path) + Buffer.byteLength(short.description);
    if (bytes > MAX_FIELDS_BYTES) break;
    few.push(short);
  }
  return few;
}

/** Whether a byte of UTF-8 is not the first one of its character. */
function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
