import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { AuditService } from '../../gen/countersign/v1/audit_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { WebhookService } from '../../gen/countersign/v1/webhook_service_pb.ts';
import { Authorization } from '../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import { ownOrigins } from '../platform/own-origins.ts';
import { access } from '../rpc/interceptors/access.ts';
import { authentication } from '../rpc/interceptors/authentication.ts';
import { browserSession } from '../rpc/interceptors/browser-session.ts';
import { deadline } from '../rpc/interceptors/deadline.ts';
import { errors } from '../rpc/interceptors/errors.ts';
import { logging } from '../rpc/interceptors/logging.ts';
import { noRateLimits, rateLimits } from '../rpc/interceptors/rate-limits.ts';
import { shutdown } from '../rpc/interceptors/shutdown.ts';
import { standing } from '../rpc/interceptors/standing.ts';
import { tracing } from '../rpc/interceptors/tracing.ts';
import { validation } from '../rpc/interceptors/validation.ts';
import { accountService } from '../rpc/services/account-service.ts';
import { adminService } from '../rpc/services/admin-service.ts';
import { apiKeyService } from '../rpc/services/api-key-service.ts';
import { auditService } from '../rpc/services/audit-service.ts';
import { authService } from '../rpc/services/auth-service.ts';
import {
  AUTHORIZATION_TERMS,
  authorizationService,
} from '../rpc/services/authorization-service.ts';
import type { Dependencies } from '../rpc/services/dependencies.ts';
import { type Service, service } from '../rpc/services/service.ts';
import { sessionService } from '../rpc/services/session-service.ts';
import { webhookService } from '../rpc/services/webhook-service.ts';
import type { Serving } from '../rpc/serving.ts';
import type { Parts } from './nouns.ts';

/**
 * Builds the services of both listeners and their interceptors, in order. Each call has its request id
 * and trace before the first of them, from `CallFactory`: refusals by the listener carry them too.
 */
export function buildServing(
  { config, platform, nouns, publicUrl }: Parts,
  others: readonly Service[],
  { calls, limits, memory }: Pick<Serving, 'calls' | 'limits' | 'memory'>,
  stopping: AbortSignal,
) {
  const { clock, log, redis, tracer } = platform;
  const { revocations, roles, apiKeyMemory, scopeUse, verifiers } = nouns;
  const deps: Dependencies = { ...config, ...platform, ...nouns, limits };
  const limiter = config.rateLimits ? rateLimits(redis, config.rateLimitTiers) : noRateLimits;
  return {
    deps,
    limiter,
    services: [
      service(AccountService, accountService(deps)),
      service(AdminService, adminService(deps)),
      service(ApiKeyService, apiKeyService(deps)),
      service(AuditService, auditService(deps)),
      service(AuthService, authService(deps)),
      service(Authorization, authorizationService(deps), AUTHORIZATION_TERMS),
      service(SessionService, sessionService(deps)),
      service(WebhookService, webhookService(deps)),
      ...others,
    ],
    interceptors: [
      ...(config.tracing ? [tracing(tracer)] : []),
      logging(log),
      errors,
      shutdown(stopping),
      deadline,
      authentication(verifiers),
      access({
        clock,
        rateLimits: limiter,
        trustedCallers: config.trustedCallers,
        database: nouns.database,
        scopeUse,
      }),
      standing({ clock, verifiers, revocations, roles, apiKeyMemory, limits, scopeUse }),
      browserSession({ clock, origins: [...ownOrigins(publicUrl), ...config.corsOrigins] }),
      validation,
    ],
    calls,
    log,
    limits,
    memory,
  };
}
