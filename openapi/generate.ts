import { writeFileSync } from 'node:fs';
import { openApiDocument } from './document.ts';

/** Writes the contract in OpenAPI, from the descriptors that `npm run gen:set` has written. */
const root = new URL('../', import.meta.url);
const document = openApiDocument(root);
writeFileSync(new URL('gen/openapi.json', root), `${JSON.stringify(document, null, 2)}\n`);
