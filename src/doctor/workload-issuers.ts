import type { WorkloadIssuer } from '../oauth/workload-issuer.ts';
import { discoveryOf, documentAt, objectIn } from './documents.ts';
import { type Finding, findings, nameOf, type Sentences } from './finding.ts';

export const WORKLOAD_ISSUERS = {
  'workload_issuers.none': { state: 'ok', says: 'none' },
  'workload_issuers.ok': { state: 'ok', says: '{host} publishes {count} keys' },
  'workload_issuers.away': {
    state: 'failure',
    says: '{host} does not answer: {error}; its tokens are refused an hour after it last did',
    todo: 'look at whether this machine may reach it; Kubernetes asks for a token at its own address',
  },
  'workload_issuers.keys': {
    state: 'failure',
    says: '{host} publishes no keys: status {status}',
    todo: 'set jwks_uri in COUNTERSIGN_WORKLOAD_ISSUERS, or correct the issuer',
  },
} as const satisfies Sentences;

const say = findings(WORKLOAD_ISSUERS);

/** Whether the keys of each outside issuer can be had. */
export async function checkWorkloadIssuers(
  issuers: readonly WorkloadIssuer[],
  signal: AbortSignal,
): Promise<Finding[]> {
  if (issuers.length === 0) return [say('workload_issuers.none')];
  return Promise.all(issuers.map((each) => checkIssuer(each, signal)));
}

async function checkIssuer(
  { issuer, jwks_uri: configured }: WorkloadIssuer,
  signal: AbortSignal,
): Promise<Finding> {
  const { host } = new URL(issuer);
  try {
    const { status, text, ms } = await documentAt(configured ?? discoveryOf(issuer), signal);
    const uri = String(objectIn(text)['jwks_uri'] ?? '');
    const isDocument = configured === undefined && URL.canParse(uri);
    const keys = isDocument ? await documentAt(uri, signal) : { status, text };
    const published = objectIn(keys.text)['keys'];
    if (keys.status !== 200 || !Array.isArray(published) || published.length === 0) {
      return say('workload_issuers.keys', { host, status: keys.status });
    }
    return say('workload_issuers.ok', { host, count: published.length }, ms);
  } catch (error) {
    const name = signal.aborted ? 'no answer within 3 s' : nameOf(error);
    return say('workload_issuers.away', { host, error: name });
  }
}
