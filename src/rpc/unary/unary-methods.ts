import { createMethodImplSpec } from '@connectrpc/connect';
import type { Serving } from '../serving.ts';
import { composeUnary, type UnarySpec } from './compose-unary.ts';

/** A unary method that is served. */
export type ServedMethod = {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly spec: UnarySpec;
  readonly invoke: ReturnType<typeof composeUnary>;
};

/** All unary methods, behind their interceptors. */
export function unaryMethods({ services, interceptors }: Serving): ServedMethod[] {
  return services.flatMap(({ descriptor, implementation }) =>
    descriptor.methods.flatMap((method) => {
      const spec = createMethodImplSpec(method, implementation[method.localName] as never);
      if (spec.kind !== 'unary') return [];
      const path = `/${descriptor.typeName}/${method.name}`;
      return [{ path, spec, invoke: composeUnary(spec, interceptors) }];
    }),
  );
}
