#!/usr/bin/env -S node --max-semi-space-size=16
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';

// V8 would come to allocate the objects of calls in its old generation at once, where each finished one
// keeps later ones from being collected (docs/decisions/0008-grpc-adapter.md).
setFlagsFromString('--no-allocation-site-pretenuring');
// V8 would let garbage grow to several times what is alive before it looks for it, and keep the memory:
// callers who come and go would make the process grow (W15).
setFlagsFromString('--heap-growing-percent=30');
// The embedded database is compiled in one pass: V8's second one takes 60 MB for good, and 500 more while
// it works, for no faster statements (docs/decisions/0006-embedded-database.md).
for (const flag of ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) {
  setFlagsFromString(flag);
}
// Beside the program, and thus written by nobody who can't write the program itself.
if (import.meta.filename.endsWith('.js')) {
  enableCompileCache(join(import.meta.dirname, '../compile-cache'));
}

// Only now is there anything to compile.
await import('./process.ts');
