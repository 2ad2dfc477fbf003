import { type AuditTrail, CHAINED_LABELS, LOCKOUT_LABELS } from '../audit/audit-trail.ts';
import type { Metrics } from '../platform/metrics.ts';
import { REFRESH_LABELS, SIGN_IN_LABELS, type SignInCounts } from '../rpc/sign-in-counts.ts';

/** People who sign in, and the trail of what they do. */
export function signInMetrics(
  metrics: Metrics,
  { signInCounts, auditTrail }: { signInCounts: SignInCounts; auditTrail: AuditTrail },
): void {
  metrics.counter(
    {
      name: 'countersign_sign_ins_total',
      help: 'Attempts to sign in.',
      labels: SIGN_IN_LABELS,
    },
    () => signInCounts.signIns.samples,
  );
  metrics.counter(
    {
      name: 'countersign_refreshes_total',
      help: 'Refresh tokens that were presented.',
      labels: REFRESH_LABELS,
    },
    () => signInCounts.refreshes.samples,
  );
  metrics.counter(
    {
      name: 'countersign_lockouts_total',
      help: 'Accounts that were locked after wrong passwords or codes.',
      labels: LOCKOUT_LABELS,
    },
    () => auditTrail.lockouts.samples,
  );
  metrics.counter(
    {
      name: 'countersign_audit_events_total',
      help: 'Audit events that this replica has added to the chain: the replicas together count each once.',
      labels: CHAINED_LABELS,
    },
    () => auditTrail.chained.samples,
  );
  metrics.gauge(
    {
      name: 'countersign_audit_chain_broken',
      help: '1 if the chain of audit events was changed by something else than the service, else 0.',
    },
    () => [{ labels: {}, value: auditTrail.isBroken ? 1 : 0 }],
  );
}
