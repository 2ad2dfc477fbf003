import type { DescService } from '@bufbuild/protobuf';
import {
  admit,
  type GrpcService,
  type Rule,
  RuleBook,
  type Rules,
  requireStill,
} from './access.ts';
import { type Identified, identify, type ReadHeader } from './credential.ts';
import type { Principal } from './principal.ts';
import type { OpenStream, Presented } from './streams.ts';
import type { Verifier } from './verifier.ts';

export type GateOptions = {
  /** The services of your server: each of their methods must have an access rule. */
  readonly services: readonly (DescService | GrpcService)[];
  /** Rules of methods whose proto you can't change, such as `grpc.health.v1.Health`. */
  readonly rules?: Rules;
};

/** A call that may be made, and on whose behalf. */
export type Admitted = {
  readonly principal: Principal | undefined;
  /** What keeps a stream that this call opens in step with its credential. */
  readonly stream: Omit<OpenStream, 'end'> | undefined;
};

/** Decides which calls of a server may be made, by its access rules. */
export class Gate {
  readonly #verifier: Verifier;
  readonly #book: RuleBook;

  /** Throws if a method has no rule. */
  constructor(verifier: Verifier, { services, rules }: GateOptions) {
    this.#verifier = verifier;
    this.#book = new RuleBook(services, rules);
  }

  /** Returns at once for a credential that is known. Throws a `VerifierError` either way. */
  admit(path: string, read: ReadHeader, presented: Presented): Admitted | Promise<Admitted> {
    const rule = this.#book.of(path);
    const identified = identify(this.#verifier, read, presented);
    if ('then' in identified) return identified.then((who) => this.#admit(rule, who, presented));
    return this.#admit(rule, identified, presented);
  }

  #admit(rule: Rule, identified: Identified, presented: Presented): Admitted {
    const { credential, verdict, refusal } = identified;
    const caller = { principal: verdict?.principal, refusal };
    const principal = admit(rule, caller, this.#verifier.nowSeconds);
    if (!principal || !verdict || credential === undefined) return { principal, stream: undefined };
    const requires = (now: Principal) => {
      requireStill(rule, { principal: now });
    };
    return { principal, stream: { credential, presented, verdict, requires } };
  }
}
