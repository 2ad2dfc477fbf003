import { parseArgs } from 'node:util';
import { parsePlace } from '../audit/chain-ends.ts';
import { type AuditChainResult, verifyAuditChain } from '../audit/verify-audit-chain.ts';
import { operator } from '../platform/caller.ts';
import { EXIT, type Io, print } from './io.ts';
import { type OnDatabase, onDatabase, printAnswer } from './on-database.ts';

const HEAD = /^[0-9]{1,15}:[0-9a-f]{64}$/;

export const AUDIT_USAGE = `  audit     look after the audit log, in the database that the service uses
              verify [--known HEAD]
                        check that no event was changed, removed or put in; 65: one was. HEAD is
                        the head that an earlier check printed, which the chain must still hold
`;

/**
 * `countersign audit verify`: checks the chain of audit events on the database itself. Its progress goes
 * to standard error. Returns the exit code.
 */
export async function auditCommand(io: Io, args: readonly string[]): Promise<number> {
  const asked = parse(args);
  if (!asked) return print(io.err, `Usage: countersign audit …\n\n${AUDIT_USAGE}`, EXIT.usage);
  const check = async (on: OnDatabase) => {
    const result = await verify(io, on, asked.known);
    printAnswer(io, { json: asJson(result), text: describe(result) }, asked.json);
    return result.flaw ? EXIT.badData : EXIT.ok;
  };
  return onDatabase(io, check);
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, known: { type: 'string' } },
    });
    const { json, known } = values;
    if (positionals.join(' ') !== 'verify') return undefined;
    if (known !== undefined && !HEAD.test(known)) return undefined;
    return { json, known: known === undefined ? undefined : parsePlace(known) };
  } catch {
    return undefined;
  }
}

async function verify(
  io: Io,
  on: OnDatabase,
  known: ReturnType<typeof parsePlace> | undefined,
): Promise<AuditChainResult> {
  const needs = { ...on, verifying: new Set<symbol>() };
  const request = { known, onlyAfterKnown: false };
  for await (const event of verifyAuditChain(needs, operator(), request)) {
    if (event.type === 'result') return event;
    const percent = Math.floor((100 * event.position) / Math.max(event.headPosition, 1));
    io.err(`${String(percent).padStart(3)} %  position ${event.position}\n`);
  }
  throw new Error('the check ended without a result');
}

function asJson({ flaw, checked, oldestPosition, head }: AuditChainResult) {
  return {
    intact: flaw === undefined,
    flaw: flaw?.kind ?? null,
    first_wrong_position: flaw?.position ?? null,
    checked_count: checked,
    oldest_position: oldestPosition,
    head,
  };
}

function describe({ flaw, checked, oldestPosition, head }: AuditChainResult): string {
  const state = flaw
    ? `BROKEN: ${flaw.kind}, first at position ${flaw.position}`
    : `intact: ${checked} events, the oldest at position ${oldestPosition}`;
  return `${state}\nhead: ${head}\n`;
}
