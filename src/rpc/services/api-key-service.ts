import { create } from '@bufbuild/protobuf';
import {
  durationFromMs,
  durationMs,
  timestampFromDate,
  timestampFromMs,
} from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import {
  ApiKeyRateLimitStatusSchema,
  ApiKeyReason,
  type ApiKeyService,
  type VerifyApiKeyRequest,
  type VerifyApiKeyResponse,
  VerifyApiKeyResponseSchema,
} from '../../../gen/countersign/v1/api_key_service_pb.ts';
import { createApiKey, type KeyWithSecret } from '../../api-keys/create-api-key.ts';
import { exchangeApiKey } from '../../api-keys/exchange-api-key.ts';
import { getApiKey } from '../../api-keys/get-api-key.ts';
import type { LimitStatus } from '../../api-keys/key-limits.ts';
import type { KeyVerdict } from '../../api-keys/key-verdict.ts';
import { listApiKeys } from '../../api-keys/list-api-keys.ts';
import { revokeApiKey } from '../../api-keys/revoke-api-key.ts';
import { rotateApiKey } from '../../api-keys/rotate-api-key.ts';
import { updateApiKey } from '../../api-keys/update-api-key.ts';
import type { Principal } from '../../sessions/principal.ts';
import { callerOf, callOf } from '../call.ts';
import { apiKeyMessage, keySettings } from '../messages/api-key-message.ts';
import { keepAnswers } from '../messages/kept-answer.ts';
import { principalMessage } from '../messages/principal-message.ts';
import type { Dependencies } from './dependencies.ts';

export function apiKeyService(deps: Dependencies): ServiceImpl<typeof ApiKeyService> {
  const { apiKeyVerifier, caches, scopeUse } = deps;
  const validAnswer = keepAnswers(caches.answers, validMessage);
  const verify = async (request: VerifyApiKeyRequest, context: HandlerContext) => {
    const { requestId } = callOf(context.values);
    const { secret, requiredScopes, cost, ipAddress } = request;
    // The caller answers for the address that it names.
    const from = { ipAddress, addressIsCertain: true, requestId };
    const query = { secret, requiredScopes, cost, ...from };
    const verdict = await apiKeyVerifier.verify(query);
    if (verdict.principal && (verdict.valid || verdict.reason === 'SCOPE_MISSING')) {
      scopeUse.noteRequired(verdict.principal, requiredScopes);
    }
    const isPlain = verdict.valid && !verdict.limit;
    return isPlain ? validAnswer(verdict.principal) : verdictMessage(verdict);
  };
  return {
    async createApiKey(request, context) {
      const settings = keySettings(request);
      const { serviceAccountId: id } = request;
      const owner = id === '' ? undefined : ({ type: 'service_account', id } as const);
      return shown(await createApiKey(deps, callerOf(context), { settings, owner }));
    },

    async getApiKey({ apiKeyId }, context) {
      const key = await getApiKey(deps, callerOf(context), apiKeyId);
      return { apiKey: apiKeyMessage(key) };
    },

    async listApiKeys(request, context) {
      const page = await listApiKeys(deps, callerOf(context), request);
      return { ...page, apiKeys: page.apiKeys.map(apiKeyMessage) };
    },

    async updateApiKey({ apiKey, updateMask }, context) {
      const { apiKeyId: keyId = '', etag = '' } = apiKey ?? {};
      const settings = keySettings(apiKey ?? noSettings);
      const update = { keyId, settings, etag, mask: updateMask?.paths ?? [] };
      const updated = await updateApiKey(deps, callerOf(context), update);
      return { apiKey: apiKeyMessage(updated) };
    },

    async rotateApiKey({ apiKeyId: keyId, overlap }, context) {
      const rotation = { keyId, overlapMs: overlap ? durationMs(overlap) : 0 };
      return shown(await rotateApiKey(deps, callerOf(context), rotation));
    },

    async revokeApiKey({ apiKeyId }, context) {
      await revokeApiKey(deps, callerOf(context), apiKeyId);
      return {};
    },

    verifyApiKey: verify,

    async batchVerifyApiKeys({ requests }, context) {
      return { responses: await Promise.all(requests.map((each) => verify(each, context))) };
    },

    async exchangeApiKey(request, context) {
      const token = await exchangeApiKey(deps, callerOf(context), request);
      const { accessToken, expiresAt, scopes } = token;
      const tokenType = 'Bearer';
      return {
        accessToken,
        expiresAt: timestampFromDate(expiresAt),
        tokenType,
        scopes: [...scopes],
      };
    },
  };
}

const noSettings = {
  displayName: '',
  scopes: [],
  allowedCidrs: [],
  expiresAt: undefined,
  rateLimit: undefined,
};

function shown({ apiKey, secret }: KeyWithSecret) {
  return { apiKey: apiKeyMessage(apiKey), secret };
}

const REASONS = {
  UNKNOWN_KEY: ApiKeyReason.UNKNOWN_KEY,
  EXPIRED: ApiKeyReason.EXPIRED,
  REVOKED: ApiKeyReason.REVOKED,
  SCOPE_MISSING: ApiKeyReason.SCOPE_MISSING,
  ADDRESS_NOT_ALLOWED: ApiKeyReason.ADDRESS_NOT_ALLOWED,
  RATE_LIMITED: ApiKeyReason.RATE_LIMITED,
  OWNER_INACTIVE: ApiKeyReason.OWNER_INACTIVE,
} as const;

function verdictMessage(verdict: KeyVerdict): VerifyApiKeyResponse {
  const { principal, limit } = verdict;
  const message = principal ? principalAnswer(principal) : create(VerifyApiKeyResponseSchema);
  if (verdict.valid) message.valid = true;
  else message.reason = REASONS[verdict.reason];
  return limit ? withLimit(message, limit) : message;
}

/** What is said of a key without a limit. */
function validMessage(principal: Principal): VerifyApiKeyResponse {
  const message = principalAnswer(principal);
  message.valid = true;
  return message;
}

function principalAnswer(principal: Principal): VerifyApiKeyResponse {
  const expires = Number.isFinite(principal.expiresAt);
  return create(VerifyApiKeyResponseSchema, {
    principal: principalMessage(principal),
    ...(expires && { expiresAt: timestampFromMs(principal.expiresAt * 1000) }),
  });
}

function withLimit(message: VerifyApiKeyResponse, status: LimitStatus): VerifyApiKeyResponse {
  const { limit, remaining, resetsInMs } = status;
  const resetsIn = durationFromMs(resetsInMs);
  message.rateLimit = create(ApiKeyRateLimitStatusSchema, { limit, remaining, resetsIn });
  return message;
}
