import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { AUDIT_EVENT_TYPES } from '../../src/audit/audit-entry.ts';

describe('docs/audit.md', () => {
  it('lists every type of event that is written, and no other, each once', () => {
    const [, recorded = ''] = readFileSync('docs/audit.md', 'utf8').split('## What is recorded');
    const [table = ''] = recorded.split('\n## ');
    const names = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    );
    assert.deepEqual(names.sort(), [...AUDIT_EVENT_TYPES].sort());
  });
});
