import type { DescService } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';

/** A proto service and what implements it: both listeners serve the same list of these. */
export type Service<S extends DescService = DescService> = {
  descriptor: S;
  implementation: Partial<ServiceImpl<S>>;
};

/** Pairs a service with its implementation, so that the compiler checks that they fit. */
export function service<S extends DescService>(
  descriptor: S,
  implementation: ServiceImpl<S>,
): Service {
  return { descriptor, implementation: implementation as Partial<ServiceImpl<DescService>> };
}
