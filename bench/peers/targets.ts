import type { Measured, Results } from './results.ts';

type Target = {
  name: string;
  ours: number | undefined;
  theirs: number | undefined;
  limit: number;
  isAtMost?: boolean;
};

/**
 * Says how far Countersign is ahead of the others where it aims for that, a line for each target whose
 * figures were measured. There is none for logins and sign-ups: with equal hashes the hashing is the
 * limit of all.
 */
export function targetsText({ works, memory }: Results): string {
  const memoryOf = (name: string) => memory.find((peer) => peer.name === name)?.after;
  const targets: Target[] = [
    {
      name: 'token check against better-auth, session',
      ours: figureOf(works.TokenCheck, 'Countersign, gRPC'),
      theirs: figureOf(works.TokenCheck, 'better-auth, session'),
      limit: 20,
    },
    {
      name: 'API-key check against better-auth',
      ours: figureOf(works.ApiKeyCheck, 'Countersign, gRPC'),
      theirs: figureOf(works.ApiKeyCheck, 'better-auth'),
      limit: 20,
    },
    {
      name: 'refresh against Keycloak, reusable tokens',
      ours: figureOf(works.Refresh, 'Countersign, Connect JSON'),
      theirs: figureOf(works.Refresh, 'Keycloak, reusable tokens'),
      limit: 4,
    },
    {
      name: 'memory after the load against Keycloak',
      ours: memoryOf('Countersign'),
      theirs: memoryOf('Keycloak'),
      limit: 0.6,
      isAtMost: true,
    },
  ];
  return targets.map(lineOf).join('');
}

function figureOf(measured: readonly Measured[] | undefined, name: string): number | undefined {
  return measured?.find((each) => each.name === name)?.value;
}

function lineOf({ name, ours, theirs, limit, isAtMost = false }: Target): string {
  if (ours === undefined || theirs === undefined) return '';
  const ratio = ours / theirs;
  const isMet = isAtMost ? ratio <= limit : ratio >= limit;
  const target = `${isAtMost ? '≤' : '≥'} ${limit} ×`;
  return `${name}: ${ratio.toFixed(2)} ×, target ${target}, ${isMet ? 'met' : 'missed'}\n`;
}
