import { isDeepStrictEqual } from 'node:util';
import type { Breaker, Breakers } from '../platform/breakers.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { GithubClient } from './github-client.ts';
import { OidcClient } from './oidc-client.ts';
import type { ProviderClient } from './provider-client.ts';
import { ProviderHttp, providerBreaker } from './provider-http.ts';
import type { ProviderSettings } from './provider-settings.ts';

export type Provider = { settings: ProviderSettings; client: ProviderClient };

type Known = Provider & { breaker: Breaker };

/** The identity providers that are configured at the moment, and what is remembered about each. */
export class Providers {
  readonly #parts: { clock: Clock; log: Log; breakers: Breakers };
  #providers: readonly Known[] = [];

  constructor(
    settings: readonly ProviderSettings[],
    parts: { clock: Clock; log: Log; breakers: Breakers },
  ) {
    this.#parts = parts;
    this.replace(settings);
  }

  /** Takes over another configuration. Providers that have not changed keep what they remember. */
  replace(settings: readonly ProviderSettings[]): void {
    const before = this.#providers;
    this.#providers = settings.map((each) => {
      const same = before.find((provider) => isDeepStrictEqual(provider.settings, each));
      return same ?? this.#known(each);
    });
    for (const each of before) {
      if (!this.#providers.includes(each)) this.#parts.breakers.remove(each.breaker);
    }
  }

  /** All of them, in the order of the configuration. */
  list(): readonly ProviderSettings[] {
    return this.#providers.map(({ settings }) => settings);
  }

  /** Whose identities can sign in. */
  issuers(): readonly string[] {
    return this.#providers.map(({ settings }) => settings.issuer);
  }

  find(id: string): Provider | undefined {
    return this.#providers.find(({ settings }) => settings.id === id);
  }

  #known(settings: ProviderSettings): Known {
    const breaker = providerBreaker(this.#parts.breakers, settings.id);
    const http = new ProviderHttp(breaker);
    const client =
      settings.preset === 'github'
        ? new GithubClient(settings, http)
        : new OidcClient(settings, http, this.#parts);
    return { settings, client, breaker };
  }
}
