/** Whose calls are counted, as far as tiers tell them apart. */
type Counted = Readonly<{
  type: 'user' | 'service_account';
  subject: string;
  ownerRoles: readonly string[];
}>;

const KINDS = { users: 'user', service_accounts: 'service_account' } as const;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ROLE = /^role:([\w.-]{1,64})$/;

/** How many calls a minute principals may make, if it differs from what the proto says. */
export class RateTiers {
  readonly #calls: ReadonlyMap<string, number>;

  constructor(calls: ReadonlyMap<string, number>) {
    this.#calls = calls;
  }

  /**
   * Reads tiers like `users=600,role:support=3000`: `users`, `service_accounts`, `role:` and a name, or the id
   * of an account or service account. Returns undefined if there is anything else.
   */
  static read(text: string): RateTiers | undefined {
    const calls = new Map<string, number>();
    for (const entry of text.split(',').map((each) => each.trim())) {
      if (entry === '') continue;
      const [, name = '', count = ''] = /^([^=]+)=(\d{1,9})$/.exec(entry) ?? [];
      const key = name.toLowerCase();
      const isKnown = Object.hasOwn(KINDS, key) || UUID.test(key) || ROLE.test(name);
      if (!isKnown || Number(count) < 1) return undefined;
      calls.set(UUID.test(key) || Object.hasOwn(KINDS, key) ? key : name, Number(count));
    }
    return new RateTiers(calls);
  }

  /**
   * The calls that a principal has: those of its own id, or else the most that its kind and its roles give
   * it. Undefined if no tier is about it.
   */
  of({ type, subject, ownerRoles }: Counted): number | undefined {
    if (this.#calls.size === 0) return undefined;
    const own = this.#calls.get(subject);
    if (own !== undefined) return own;
    const kind = Object.keys(KINDS).filter((name) => KINDS[name as keyof typeof KINDS] === type);
    const names = [...kind, ...ownerRoles.map((role) => `role:${role}`)];
    const found = names.map((name) => this.#calls.get(name)).filter((each) => each !== undefined);
    return found.length > 0 ? Math.max(...found) : undefined;
  }

  /** As they were written, for people. */
  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#calls);
  }
}
