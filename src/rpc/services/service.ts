import type { DescMethod, DescService, Message } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';

/** What holds for a unary method by gRPC, in place of what holds for all methods. */
export type UnaryTerms = {
  /**
   * How large (bytes) its request may be; if it is compressed, no larger than any. It is read only once
   * its caller is known, since reading a large one takes long.
   */
  maxMessageBytes: number;
  /** The answer to a request that is too large or can't be read, in place of an error. */
  answerToUnreadable: Message;
};

/** A proto service and what implements it: both listeners serve the same list of these. */
export type Service<S extends DescService = DescService> = {
  descriptor: S;
  implementation: Partial<ServiceImpl<S>>;
  /** By the names of its methods in code. */
  terms?: Readonly<Record<string, UnaryTerms>>;
};

/** Pairs a service with its implementation, so that the compiler checks that they fit. */
export function service<S extends DescService>(
  descriptor: S,
  implementation: ServiceImpl<S>,
  terms: Readonly<Record<string, UnaryTerms>> = {},
): Service {
  return { descriptor, implementation: implementation as Partial<ServiceImpl<DescService>>, terms };
}

/** What holds for a method in particular, if anything does. */
export function termsOf({ terms }: Service, method: DescMethod): UnaryTerms | undefined {
  return terms?.[method.localName];
}
