import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** The code that stands in a document under a name: "```py introspect.py". */
export function snippet(document: string, name: string): string {
  const fences = readFileSync(`docs/${document}.md`, 'utf8').matchAll(
    /^```\w+ (\S+)\n([\s\S]*?)^```$/gm,
  );
  const [, , code] = [...fences].find(([, each]) => each === name) ?? [];
  assert.ok(code, `${document}.md has no ${name}`);
  return code;
}
