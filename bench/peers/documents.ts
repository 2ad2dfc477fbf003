import { readFileSync, writeFileSync } from 'node:fs';
import { peersPicture } from './picture.ts';
import type { Results } from './results.ts';
import { peersTable, withSection } from './table.ts';

const PICTURE = 'docs/performance.svg';
const DOCUMENTS = ['README.md', 'docs/performance.md'];
const SECTION = 'peers';

/** Writes the picture, and the table where a document has the section for it. */
export function writeDocuments(results: Results): void {
  writeFileSync(PICTURE, peersPicture(results));
  for (const path of DOCUMENTS) {
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, withSection(text, SECTION, peersTable(results)));
  }
}
