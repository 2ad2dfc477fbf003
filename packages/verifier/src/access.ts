import { type DescMethod, type DescService, getOption, hasOption } from '@bufbuild/protobuf';
import { type AccessRule, access } from '../gen/countersign/v1/access_pb.ts';
import { VerifierError } from './errors.ts';
import { isSignIn, type Principal } from './principal.ts';
import { isPublic, isSignedIn, type Rule, type Rules, requireUsable } from './rule.ts';

export type { Rule, Rules } from './rule.ts';

/** A method of grpc-js: `@grpc/proto-loader` keeps its options, generated code may not. */
type GrpcMethod = { readonly path: string; readonly options?: unknown };
/** A service of grpc-js, as `server.addService` takes it. */
export type GrpcService = Readonly<Record<string, GrpcMethod>>;

/** The rules of a server's methods, all of which have one. */
export class RuleBook {
  readonly #rules = new Map<string, Rule>();

  /** Throws if a method of these services has no rule, or if a rule says nothing or is about nothing. */
  constructor(services: readonly (DescService | GrpcService)[], extra: Rules = {}) {
    const given = new Map(Object.entries(extra));
    requireUsable(given);
    const unused = new Set(given.keys());
    const closed: string[] = [];
    for (const [path, declared] of services.flatMap(methodsOf)) {
      const [, service = '', method = ''] = path.split('/');
      const names = [`${service}/${method}`, service];
      for (const name of names) unused.delete(name);
      const rule = names.map((name) => given.get(name)).find((each) => each) ?? declared();
      if (rule) this.#rules.set(path, rule);
      else closed.push(path);
    }
    if (unused.size > 0) {
      const names = [...unused].join(', ');
      throw new Error(`\`rules\` names what is no method of \`services\`: ${names}`);
    }
    if (closed.length === 0) return;
    const names = closed.join(', ');
    throw new Error(
      `no access rule that can be read: ${names}. Give each method a (countersign.v1.access) option, or name it in \`rules\`.`,
    );
  }

  /** The rule of a method by its path, `/package.Service/Method`. Throws if it has none. */
  of(path: string): Rule {
    const rule = this.#rules.get(path);
    if (rule) return rule;
    throw new VerifierError('PERMISSION_DENIED', 'this method is closed');
  }
}

type Declared = readonly [path: string, () => Rule | undefined];

function methodsOf(service: DescService | GrpcService): Declared[] {
  if (isDescriptor(service)) {
    return service.methods.map((method) => [pathOf(method), () => declaredRule(method)]);
  }
  return Object.values(service).map(({ path, options }) => [path, () => loadedRule(options)]);
}

function isDescriptor(service: DescService | GrpcService): service is DescService {
  return 'kind' in service && (service.kind as unknown) === 'service';
}

/** The path of a method on the wire. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function declaredRule(method: DescMethod): Rule | undefined {
  return hasOption(method, access) ? ruleOf(getOption(method, access)) : undefined;
}

function ruleOf({ caller, maxSignInAge, orPermission, apiKeyAllowed }: AccessRule) {
  const { seconds = 0n, nanos = 0 } = maxSignInAge ?? {};
  const age = maxSignInAge && { maxSignInAgeSeconds: Number(seconds) + nanos / 1e9 };
  const signedIn = { apiKeyAllowed, ...age };
  // What is set to false or to nothing opens nothing.
  if (!caller.value) return undefined;
  switch (caller.case) {
    case 'public':
      return { public: true, apiKeyAllowed } as const;
    case 'signedIn':
      return { ...signedIn, signedIn: true } as const;
    case 'permission':
      return { ...signedIn, permission: caller.value, orPermission };
  }
}

/** The rule as `@grpc/proto-loader` reads options, with the names of the proto or in camel case. */
function loadedRule(options: unknown): Rule | undefined {
  const all = (options ?? {}) as Record<string, unknown>;
  const option = all['(countersign.v1.access)'];
  if (typeof option !== 'object' || option === null) return undefined;
  const fields = option as Record<string, unknown>;
  const field = (snake: string, camel: string) => fields[snake] ?? fields[camel];
  const age = field('max_sign_in_age', 'maxSignInAge') as
    | { seconds?: unknown; nanos?: unknown }
    | undefined;
  const seconds = age && Number(age.seconds ?? 0) + Number(age.nanos ?? 0) / 1e9;
  if (Number.isNaN(seconds)) return undefined;
  const common = {
    apiKeyAllowed: field('api_key_allowed', 'apiKeyAllowed') === true,
    ...(seconds !== undefined && { maxSignInAgeSeconds: seconds }),
  };
  const permission = fields['permission'];
  const or = field('or_permission', 'orPermission');
  if (fields['public'] === true) return { ...common, public: true };
  if (field('signed_in', 'signedIn') === true) return { ...common, signedIn: true };
  if (typeof permission !== 'string' || permission === '') return undefined;
  return { ...common, permission, ...(typeof or === 'string' && { orPermission: or }) };
}

/** The caller of a method: its principal, if it has shown a credential, or why that was refused. */
export type Caller = {
  readonly principal: Principal | undefined;
  readonly refusal?: VerifierError | undefined;
};

/**
 * Returns the principal that a method may act for: undefined for a public one without a credential that it
 * accepts. Throws if the rule is not met. `nowSeconds` is compared with the time of the sign-in.
 */
export function admit(rule: Rule, caller: Caller, nowSeconds: number): Principal | undefined {
  const { principal } = caller;
  if (isPublic(rule)) {
    // The method acts for the user who is signed in, and an API key is not signed in.
    return principal && isAccepted(rule, principal) ? principal : undefined;
  }
  const admitted = requireStill(rule, caller);
  const { maxSignInAgeSeconds: age } = rule;
  if (age !== undefined && admitted && !(nowSeconds - admitted.authTime <= age)) {
    throw new VerifierError(
      'REAUTHENTICATION_REQUIRED',
      'this method needs a recent sign-in; sign in again',
    );
  }
  return admitted;
}

/**
 * The same for a call that was admitted before: how long ago the sign-in was no longer matters, since it
 * was recent when the call began.
 */
export function requireStill(rule: Rule, { principal, refusal }: Caller): Principal | undefined {
  if (isPublic(rule)) return principal;
  if (!principal) throw refusal ?? missing();
  if (!isAccepted(rule, principal)) {
    const message =
      principal.actors.length > 0
        ? 'this method accepts nobody who acts for someone else; sign in'
        : 'this method does not accept an API key; sign in';
    throw new VerifierError('PERMISSION_DENIED', message);
  }
  if (isSignedIn(rule)) return principal;
  requirePermission(principal, rule.permission, rule.orPermission);
  return principal;
}

/**
 * Whether a rule accepts this kind of credential. Who acts for someone else opens what a key of its own
 * would open, and nothing that asks for no permission.
 */
function isAccepted(rule: Rule, principal: Principal): boolean {
  if (principal.actors.length > 0) return rule.apiKeyAllowed === true && 'permission' in rule;
  return rule.apiKeyAllowed === true || isSignIn(principal);
}

/** Throws `PERMISSION_DENIED` unless the principal holds a permission, or the alternative to it. */
export function requirePermission(principal: Principal, permission: string, or = ''): void {
  const { permissions } = principal;
  if (permissions.includes(permission) || (or !== '' && permissions.includes(or))) return;
  throw new VerifierError('PERMISSION_DENIED', `the permission ${permission} is needed`, {
    metadata: { permission },
  });
}

function missing(): VerifierError {
  return new VerifierError('CREDENTIALS_MISSING', 'the call needs an access token or an API key');
}
