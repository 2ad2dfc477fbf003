import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import {
  AuditActorSchema,
  AuditChainFlaw,
  type AuditEvent,
  AuditEventSchema,
  AuditOutcome,
  type VerifyAuditChainResponseSchema,
  type WatchAuditEventsResponseSchema,
} from '../../../gen/countersign/v1/audit_service_pb.ts';
import { PrincipalType } from '../../../gen/countersign/v1/principal_pb.ts';
import type { ChainFlaw } from '../../audit/chain-flaw.ts';
import { commitment } from '../../audit/event-hash.ts';
import { eventTime, type StoredEvent } from '../../audit/stored-event.ts';
import type { AuditChainProgress, AuditChainResult } from '../../audit/verify-audit-chain.ts';
import type { AuditNews } from '../../audit/watch-audit-events.ts';

const OUTCOMES = { success: AuditOutcome.SUCCESS, failure: AuditOutcome.FAILURE } as const;

export function auditEventMessage(event: StoredEvent): AuditEvent {
  const { seconds, nanos } = eventTime(event);
  const { ipAddress, ipSalt, ipHash, personal, personalSalt, personalHash } = event;
  // An event gets its salts when it enters the chain.
  const isChained = event.position !== null;
  return create(AuditEventSchema, {
    eventId: event.id,
    position: BigInt(event.position ?? 0),
    occurredAt: { seconds: BigInt(seconds), nanos },
    type: event.type,
    ...(event.actor !== null && { actor: actorMessage(event, event.actor) }),
    subject: event.subject ?? '',
    outcome: OUTCOMES[event.outcome],
    reason: event.reason ?? '',
    ipAddress: ipAddress ?? '',
    requestId: event.requestId,
    details: event.details as JsonObject,
    ...(personal !== null && { personal: JSON.parse(personal) as JsonObject }),
    hash: bytes(event.hash),
    ipAddressHash: bytes(isChained ? commitment(ipAddress, ipSalt, ipHash) : undefined),
    ipAddressSalt: bytes(ipSalt),
    personalHash: bytes(isChained ? commitment(personal, personalSalt, personalHash) : undefined),
    personalSalt: bytes(personalSalt),
  });
}

const ACTOR_TYPES: Readonly<Record<string, PrincipalType>> = {
  user: PrincipalType.USER,
  service_account: PrincipalType.SERVICE_ACCOUNT,
};

function actorMessage({ actorType, apiKeyId }: StoredEvent, subject: string) {
  const type = ACTOR_TYPES[actorType ?? ''] ?? PrincipalType.UNSPECIFIED;
  return create(AuditActorSchema, { subject, type, apiKeyId: apiKeyId ?? '' });
}

function bytes(hex: string | null | undefined): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(hex ?? '', 'hex'));
}

export function newsMessage(
  news: AuditNews,
): MessageInitShape<typeof WatchAuditEventsResponseSchema> {
  const { cursor } = news;
  switch (news.type) {
    case 'event':
      return { cursor, event: { case: 'auditEvent', value: auditEventMessage(news.event) } };
    case 'checkpoint':
      return { cursor, event: { case: 'checkpoint', value: { caughtUp: news.caughtUp } } };
    case 'resync':
      return { cursor, event: { case: 'resync', value: {} } };
  }
}

const FLAWS: Readonly<Record<ChainFlaw['kind'], AuditChainFlaw>> = {
  event_changed: AuditChainFlaw.EVENT_CHANGED,
  event_missing: AuditChainFlaw.EVENT_MISSING,
  event_inserted: AuditChainFlaw.EVENT_INSERTED,
  head_forged: AuditChainFlaw.HEAD_FORGED,
  known_head_missing: AuditChainFlaw.KNOWN_HEAD_MISSING,
};

export function verificationMessage(
  event: AuditChainProgress | AuditChainResult,
): MessageInitShape<typeof VerifyAuditChainResponseSchema> {
  const checkedCount = BigInt(event.checked);
  if (event.type === 'progress') {
    const value = {
      checkedCount,
      position: BigInt(event.position),
      headPosition: BigInt(event.headPosition),
    };
    return { event: { case: 'progress', value } };
  }
  const value = {
    intact: event.flaw === undefined,
    flaw: event.flaw ? FLAWS[event.flaw.kind] : AuditChainFlaw.UNSPECIFIED,
    firstWrongPosition: BigInt(event.flaw?.position ?? 0),
    checkedCount,
    oldestPosition: BigInt(event.oldestPosition),
    head: event.head,
  };
  return { event: { case: 'result', value } };
}
