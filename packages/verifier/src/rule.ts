/** What a method requires of its caller, for methods whose proto you can't change. */
export type Rule =
  | { readonly public: true; readonly apiKeyAllowed?: boolean }
  | (SignedIn & { readonly signedIn: true })
  | (SignedIn & { readonly permission: string; readonly orPermission?: string });

type SignedIn = { readonly maxSignInAgeSeconds?: number; readonly apiKeyAllowed?: boolean };

/** Rules by `package.Service`, or by `package.Service/Method`. */
export type Rules = Readonly<Record<string, Rule>>;

/** The types say so too, but not everyone has them: a rule that is `public: false` must not be public. */
export function requireUsable(rules: ReadonlyMap<string, Rule>): void {
  for (const [name, rule] of rules) {
    if (isPublic(rule)) continue;
    const { permission, maxSignInAgeSeconds: age = 0 }: Partial<Record<string, unknown>> = rule;
    const opens = isSignedIn(rule) || (typeof permission === 'string' && permission !== '');
    if (opens && typeof age === 'number' && age >= 0) continue;
    throw new Error(
      `the rule of ${name} can't be read: give it \`public: true\`, \`signedIn: true\` or a \`permission\``,
    );
  }
}

type Public = Extract<Rule, { public: true }>;

export function isPublic(rule: Rule): rule is Public {
  return 'public' in rule && rule.public === true;
}

export function isSignedIn(rule: Exclude<Rule, Public>): rule is Extract<Rule, { signedIn: true }> {
  return 'signedIn' in rule && rule.signedIn === true;
}
