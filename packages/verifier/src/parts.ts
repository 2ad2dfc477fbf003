import type { Revocation } from '../gen/countersign/v1/session_service_pb.ts';
import { AccessTokens } from './access-tokens.ts';
import { ApiKeys } from './api-keys.ts';
import type { Events } from './events.ts';
import { RevocationFeed } from './feed.ts';
import { KeySet } from './key-set.ts';
import { fetchOf, keySourceOf, type Settings, transportOf } from './options.ts';
import { CountersignService } from './service.ts';
import { type Clock, ServiceClock } from './service-clock.ts';
import { Standing } from './standing.ts';

type Given = {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly events: Events;
  readonly onRevocation: (revocation: Revocation) => void;
};

/** What a verifier consists of. */
export type VerifierParts = {
  readonly serviceClock: ServiceClock;
  readonly keys: KeySet;
  readonly feed: RevocationFeed;
  readonly standing: Standing;
  readonly accessTokens: AccessTokens;
  readonly apiKeys: ApiKeys;
};

/** Builds each part once, in the order in which it is needed. The feed begins at once. */
export function partsOf({ settings, clock, events, onRevocation }: Given): VerifierParts {
  const { audience, credential, askTimeoutMs, staleAfterMs, maxRevocations } = settings;
  const serviceClock = new ServiceClock(clock);
  const service = new CountersignService({
    transport: transportOf(settings),
    credential,
    audience,
    timeoutMs: askTimeoutMs,
  });
  const keys = new KeySet({
    fetch: fetchOf(settings),
    clock,
    source: keySourceOf(settings),
  });
  const shared = { service, clock, serviceClock };
  const following = { events, staleAfterMs, maxRevocations, onRevocation };
  const feed = new RevocationFeed({ ...shared, ...following });
  const standing = new Standing({ settings, feed, keys, serviceClock });
  const accessTokens = new AccessTokens({ ...shared, settings, feed, keys, standing });
  const rememberMs = settings.rememberApiKeyMs;
  const apiKeys = new ApiKeys({ ...shared, feed, audience, rememberMs });
  return { serviceClock, keys, feed, standing, accessTokens, apiKeys };
}
