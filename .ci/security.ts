import { spawnSync } from 'node:child_process';

/**
 * Asks the registry what `npm run check` can't know by itself: whether packages have known vulnerabilities,
 * and whether they are the ones that the registry signed. Exits with 1 if something is wrong, and with 75
 * if the registry doesn't say, which is no verdict.
 */
const UNKNOWN = 75;

type Verdict = { wrong: string[] } | { unknown: string };
type Audit = {
  error?: { summary?: string };
  vulnerabilities?: Record<string, { severity: string }>;
};
type Signatures = { error?: { summary?: string }; invalid?: Package[]; missing?: Package[] };
type Package = { name: string; version: string };

/** Of what runs; a tool for development that is slow on wrong input endangers nobody. */
function vulnerabilities(): Verdict {
  const asked = npm('audit', '--omit=dev', '--package-lock-only');
  const { error, vulnerabilities: found } = asked as Audit;
  if (found === undefined)
    return { unknown: error?.summary || 'it answers no questions about vulnerabilities' };
  const severe = Object.entries(found).filter(([, { severity }]) => /high|critical/.test(severity));
  return {
    wrong: severe.map(([name, { severity }]) => `${name} has a vulnerability: ${severity}`),
  };
}

function signatures(): Verdict {
  const { error, invalid, missing } = npm('audit', 'signatures') as Signatures;
  if (invalid === undefined || missing === undefined) {
    return { unknown: error?.summary || 'it has no signatures' };
  }
  return {
    wrong: [
      ...invalid.map(({ name, version }) => `${name} ${version} is not what was signed`),
      ...missing.map(({ name, version }) => `${name} ${version} has no signature`),
    ],
  };
}

function npm(...args: string[]): object {
  const { stdout } = spawnSync('npm', [...args, '--json'], { encoding: 'utf8' });
  try {
    return JSON.parse(stdout);
  } catch {
    return {};
  }
}

const checks: Record<string, () => Verdict> = { vulnerabilities, signatures };
const asked = process.argv.slice(2);
for (const name of asked.length > 0 ? asked : Object.keys(checks)) {
  const verdict = checks[name]?.() ?? { wrong: [`${name} is none of ${Object.keys(checks)}`] };
  if ('unknown' in verdict) {
    process.stdout.write(`?      ${name}: the registry does not say (${verdict.unknown})\n`);
    process.exitCode ??= UNKNOWN;
  } else {
    process.stdout.write(`${verdict.wrong.length === 0 ? 'ok    ' : 'FAILED'} ${name}\n`);
    for (const line of verdict.wrong) process.stdout.write(`${line}\n`);
    if (verdict.wrong.length > 0) process.exitCode = 1;
  }
}
