import type { ProviderSettings } from './provider-settings.ts';

/** The identity providers that are configured at the moment. */
export class Providers {
  #settings: readonly ProviderSettings[];

  constructor(settings: readonly ProviderSettings[]) {
    this.#settings = settings;
  }

  /** Takes over another configuration. */
  replace(settings: readonly ProviderSettings[]): void {
    this.#settings = settings;
  }

  /** All of them, in the order of the configuration. */
  list(): readonly ProviderSettings[] {
    return this.#settings;
  }
}
