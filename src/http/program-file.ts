import { readFile } from 'node:fs/promises';
import { etagOf, unlessKnown } from './etag.ts';
import { type Endpoint, json } from './sidecar.ts';

type Known = { bytes: Buffer; etag: string };

/**
 * A file of the program, at the first of these places that has it. It is read when it is first asked for,
 * which most replicas never see. Caches ask each time whether it has changed.
 */
export function programFile(places: readonly string[], type: string): Endpoint {
  let reading: Promise<Known | undefined> | undefined;
  return async (req) => {
    reading ??= read(places);
    const found = await reading.catch((error) => {
      reading = undefined;
      throw error;
    });
    if (!found) return json(404, { error: 'this file is not installed; run npm ci' });
    const { bytes, etag } = found;
    const answer = { status: 200, type, body: bytes };
    return unlessKnown(req, answer, { etag, 'cache-control': 'no-cache' });
  };
}

async function read(places: readonly string[]): Promise<Known | undefined> {
  for (const place of places) {
    const bytes = await readFile(new URL(place, import.meta.url)).catch((error) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (bytes) return { bytes, etag: etagOf(bytes) };
  }
  return undefined;
}
