import { createMethodImplSpec } from '@connectrpc/connect';
import { termsOf, type UnaryTerms } from '../services/service.ts';
import type { Serving } from '../serving.ts';
import { composeUnary, type UnarySpec } from './compose-unary.ts';

/** A unary method that is served. */
export type ServedMethod = {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly spec: UnarySpec;
  readonly invoke: ReturnType<typeof composeUnary>;
  readonly terms: UnaryTerms | undefined;
};

/** All unary methods, behind their interceptors. */
export function unaryMethods({ services, interceptors }: Serving): ServedMethod[] {
  return services.flatMap((each) =>
    each.descriptor.methods.flatMap((method) => {
      const spec = createMethodImplSpec(method, each.implementation[method.localName] as never);
      if (spec.kind !== 'unary') return [];
      const path = `/${each.descriptor.typeName}/${method.name}`;
      const invoke = composeUnary(spec, interceptors);
      return [{ path, spec, invoke, terms: termsOf(each, method) }];
    }),
  );
}
