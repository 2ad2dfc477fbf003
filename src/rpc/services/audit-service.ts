import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import {
  type AuditFilters as AuditFiltersMessage,
  AuditOutcome,
  type AuditService,
  type WatchAuditEventsRequest,
} from '../../../gen/countersign/v1/audit_service_pb.ts';
import type { AuditFilters } from '../../audit/audit-filters.ts';
import { parsePlace } from '../../audit/chain-ends.ts';
import { listAuditEvents } from '../../audit/list-audit-events.ts';
import { verifyAuditChain } from '../../audit/verify-audit-chain.ts';
import { watchAuditEvents } from '../../audit/watch-audit-events.ts';
import { callerOf } from '../call.ts';
import { auditEventMessage, newsMessage, verificationMessage } from '../messages/audit-messages.ts';
import type { Dependencies } from './dependencies.ts';

export function auditService(deps: Dependencies): ServiceImpl<typeof AuditService> {
  return {
    async listAuditEvents(request, context) {
      const filters = filtersOf(request.filters);
      const page = await listAuditEvents(deps, callerOf(context), { ...request, filters });
      return { ...page, events: page.events.map(auditEventMessage) };
    },

    async *watchAuditEvents(request: WatchAuditEventsRequest, context: HandlerContext) {
      const watch = { filters: filtersOf(request.filters), cursor: request.cursor };
      const told = watchAuditEvents(deps, callerOf(context), watch);
      for await (const news of told) yield newsMessage(news);
    },

    async *verifyAuditChain({ knownHead, onlyAfterKnownHead }, context) {
      const known = knownHead === '' ? undefined : parsePlace(knownHead);
      const request = { known, onlyAfterKnown: onlyAfterKnownHead };
      for await (const event of verifyAuditChain(deps, callerOf(context), request)) {
        yield verificationMessage(event);
      }
    },
  };
}

const OUTCOMES: Readonly<Record<number, AuditFilters['outcome']>> = {
  [AuditOutcome.SUCCESS]: 'success',
  [AuditOutcome.FAILURE]: 'failure',
};

function filtersOf(message: AuditFiltersMessage | undefined): AuditFilters {
  return {
    actor: message?.actor.toLowerCase() || undefined,
    subject: message?.subject.toLowerCase() || undefined,
    types: message?.types ?? [],
    outcome: OUTCOMES[message?.outcome ?? AuditOutcome.UNSPECIFIED],
    startTime: dateOf(message?.startTime),
    endTime: dateOf(message?.endTime),
  };
}

function dateOf(time: Timestamp | undefined): Date | undefined {
  return time && timestampDate(time);
}
