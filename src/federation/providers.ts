import { isDeepStrictEqual } from 'node:util';
import type { Log } from '../platform/log.ts';
import { GithubClient } from './github-client.ts';
import { OidcClient } from './oidc-client.ts';
import type { ProviderClient } from './provider-client.ts';
import type { ProviderSettings } from './provider-settings.ts';

export type Provider = { settings: ProviderSettings; client: ProviderClient };

/** The identity providers that are configured at the moment, and what is remembered about each. */
export class Providers {
  readonly #log: Log;
  #providers: readonly Provider[] = [];

  constructor(settings: readonly ProviderSettings[], log: Log) {
    this.#log = log;
    this.replace(settings);
  }

  /** Takes over another configuration. Providers that have not changed keep what they remember. */
  replace(settings: readonly ProviderSettings[]): void {
    const before = this.#providers;
    this.#providers = settings.map((each) => {
      const same = before.find((provider) => isDeepStrictEqual(provider.settings, each));
      return same ?? { settings: each, client: this.#clientOf(each) };
    });
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

  #clientOf(settings: ProviderSettings): ProviderClient {
    if (settings.preset === 'github') return new GithubClient(settings);
    return new OidcClient(settings, this.#log);
  }
}
