import { lruCache } from '../platform/lru-cache.ts';

/** What a route asks of a request, by the configuration of its proxy. */
export type Rule = {
  /** Its settings alone, for logs and reports; cut to a bounded length. */
  readonly name: string;
  readonly requiredScopes: readonly string[];
  readonly requiredPermissions: readonly string[];
  /** The audiences that an access token must have, all of them. */
  readonly audiences: readonly string[];
  /** The audience to exchange the credential for; empty for none. */
  readonly exchange: string;
  /** Whether a request that the rule refuses is let through, and recorded. */
  readonly isShadow: boolean;
};

/** A name and a value of the configuration. */
export type Setting = readonly [name: string, value: string];

/** How many different rules are remembered; a mesh has one for each kind of route. */
const REMEMBERED = 1000;
const MAX_REMEMBERED_LENGTH = 1024;
const MAX_NAME = 256;
/** How long the settings of a rule may be together. Whatever they name can come back in a refusal. */
const MAX_SETTINGS_LENGTH = 4096;

/** Reads rules, and remembers them: every request of a route has the same one. */
export class Rules {
  readonly #audience: string;
  readonly #exchangeAudiences: ReadonlySet<string>;
  readonly #known = lruCache<string, Rule | Error>(REMEMBERED);

  /**
   * `audience` is what a token must be for if the rule names nothing else: otherwise a token that was
   * issued for one service inside would work at the edge.
   */
  constructor(audience: string, exchangeAudiences: readonly string[]) {
    this.#audience = audience;
    this.#exchangeAudiences = new Set(exchangeAudiences);
  }

  /** Returns the rule, or an error that says why it can't be read: then nobody may pass (M03). */
  read(settings: readonly Setting[]): Rule | Error {
    let name = '';
    for (const [key, value] of settings) name += `${key}=${value}\n`;
    const known = this.#known.get(name);
    if (known) return known;
    const rule = this.#read(settings);
    // What a client can add to it must not fill the memory.
    if (name.length <= MAX_REMEMBERED_LENGTH) this.#known.set(name, rule);
    return rule;
  }

  #read(settings: readonly Setting[]): Rule | Error {
    const values = (name: string) =>
      settings.filter(([key]) => key === name).map(([, value]) => value);
    const unreadable = unreadableSetting(settings) ?? this.#refusedExchange(values('exchange'));
    if (unreadable) return new Error(unreadable);
    const audiences = values('audience');
    return Object.freeze({
      // What else a proxy passes on may be the query of its client, secrets among it (W09).
      name: settings
        .filter(([key]) => RULE_SETTINGS.has(key))
        .map(([key, value]) => `${key}=${value}`)
        .sort()
        .join('&')
        .slice(0, MAX_NAME),
      requiredScopes: values('required_scopes').flatMap(listed),
      requiredPermissions: values('required_permissions').flatMap(listed),
      audiences: audiences.length > 0 ? audiences : [this.#audience],
      exchange: values('exchange')[0] ?? '',
      isShadow: values('shadow').length > 0 && values('shadow').every((value) => value === 'true'),
    });
  }

  #refusedExchange(audiences: readonly string[]): string | undefined {
    if (new Set(audiences).size > 1) return 'exchange names more than one audience';
    const refused = audiences.find((audience) => !this.#exchangeAudiences.has(audience));
    return refused && 'exchange names an audience that COUNTERSIGN_EXCHANGE_AUDIENCES lacks';
  }
}

export const RULE_SETTINGS: ReadonlySet<string> = new Set([
  'required_scopes',
  'required_permissions',
  'audience',
  'exchange',
  'shadow',
]);

/** What nobody means but one of the settings: mistyped, it would leave a route open. */
const LIKE_A_SETTING = /^require|re?q.*(scope|permission)|^\W*(scopes|permissions)\W*$/i;

/** Why the settings can't be read as a rule. Settings that are not about rules are another program's. */
function unreadableSetting(settings: readonly Setting[]): string | undefined {
  let length = 0;
  for (const [name, value] of settings) {
    if (!RULE_SETTINGS.has(name)) {
      if (LIKE_A_SETTING.test(name) || RULE_SETTINGS.has(name.trim().toLowerCase())) {
        return `there is no setting ${name.slice(0, MAX_NAME)}`;
      }
      continue;
    }
    length += value.length;
    if (length > MAX_SETTINGS_LENGTH) {
      return `the settings are longer than ${MAX_SETTINGS_LENGTH} characters`;
    }
    if (listed(value).length === 0) return `${name} is empty`;
    if (name === 'shadow' && value !== 'true' && value !== 'false') {
      return 'shadow is neither true nor false';
    }
  }
  return undefined;
}

/** Names separated by spaces or commas. */
function listed(text: string): string[] {
  return text.split(/[\s,]+/).filter((name) => name !== '');
}
