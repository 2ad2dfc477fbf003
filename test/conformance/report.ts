import { KNOWN_FAILURES, type KnownFailure } from './known-failures.ts';

export type Report = {
  /** How many cases there were. */
  cases: number;
  /** Complaints that are not known. */
  unknown: string[];
  /** Known complaints that did not appear. */
  unsaid: KnownFailure[];
};

/** What the conformance runner has written. */
export function readReport(text: string): Report {
  const unknown: string[] = [];
  const said = new Set<KnownFailure>();
  for (const [name, complaint] of complaints(text)) {
    const known = KNOWN_FAILURES.find(
      (each) => each.complaint.test(complaint) && (each.cases?.test(name) ?? true),
    );
    if (known) said.add(known);
    else unknown.push(`${name}: ${complaint}`);
  }
  if (/could not be run/.test(text)) unknown.push('some cases could not be run');
  const [, cases = '0'] = /^Total cases: (\d+)$/m.exec(text) ?? [];
  return {
    cases: Number(cases),
    unknown,
    unsaid: KNOWN_FAILURES.filter((each) => !said.has(each)),
  };
}

/** Each complaint with its case: a line that names the case, and lines that are indented. */
function complaints(text: string): [name: string, complaint: string][] {
  let name = '';
  return text.split('\n').flatMap((line) => {
    const [, failed, rest] = /^FAILED: (.+?)(?::| (was expected .*))$/.exec(line) ?? [];
    if (failed !== undefined) name = failed;
    if (rest !== undefined) return [[name, rest]];
    const [, complaint] = /^\t(?:; )?(.+)$/.exec(line) ?? [];
    return complaint === undefined ? [] : [[name, complaint]];
  });
}
