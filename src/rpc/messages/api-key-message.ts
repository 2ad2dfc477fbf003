import { create } from '@bufbuild/protobuf';
import {
  durationFromMs,
  durationMs,
  timestampDate,
  timestampFromDate,
} from '@bufbuild/protobuf/wkt';
import {
  type ApiKey,
  type ApiKeyRateLimit,
  ApiKeySchema,
} from '../../../gen/countersign/v1/api_key_pb.ts';
import type { KeySettings } from '../../api-keys/api-key.repository.ts';
import type { ApiKeyView } from '../../api-keys/api-key-view.ts';
import { PRINCIPAL_TYPES } from './principal-message.ts';

/** A key as the API shows it. */
export function apiKeyMessage(view: ApiKeyView): ApiKey {
  const { owner, limit, createdAt, expiresAt, lastUsedAt, revokedAt, ...rest } = view;
  const { previousSecretExpiresAt, ...same } = rest;
  return create(ApiKeySchema, {
    ...same,
    owner: { type: PRINCIPAL_TYPES[owner.type], subject: owner.id },
    createdAt: timestampFromDate(createdAt),
    ...(limit && {
      rateLimit: { requests: limit.requests, per: durationFromMs(limit.seconds * 1000) },
    }),
    ...(expiresAt && { expiresAt: timestampFromDate(expiresAt) }),
    ...(lastUsedAt && { lastUsedAt: timestampFromDate(lastUsedAt) }),
    ...(revokedAt && { revokedAt: timestampFromDate(revokedAt) }),
    ...(previousSecretExpiresAt && {
      previousSecretExpiresAt: timestampFromDate(previousSecretExpiresAt),
    }),
  });
}

type Settings = Pick<ApiKey, 'displayName' | 'scopes' | 'allowedCidrs' | 'expiresAt' | 'rateLimit'>;

/** The settings that a request wants a key to have. */
export function keySettings(request: Settings): KeySettings {
  const { displayName, scopes, allowedCidrs, expiresAt, rateLimit } = request;
  return {
    displayName,
    scopes,
    allowedCidrs,
    expiresAt: expiresAt && timestampDate(expiresAt),
    limit: rateLimit && keyLimit(rateLimit),
  };
}

function keyLimit({ requests, per }: ApiKeyRateLimit) {
  return { requests, seconds: Math.floor((per ? durationMs(per) : 0) / 1000) };
}
