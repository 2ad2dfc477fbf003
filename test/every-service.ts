import { globSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import type { DescMethod, DescService } from '@bufbuild/protobuf';
import type { Protocol } from './harness/clients.ts';
import { type Refusal, refusal } from './harness/refusal.ts';
import type { Service } from './harness/service.ts';

const require = createRequire(import.meta.url);

/** Every method of every service of the contract, including those of future files. */
export function everyMethod(): DescMethod[] {
  const files = globSync([
    'gen/countersign/v1/*_service_pb.ts',
    'gen/envoy/service/**/*_pb.ts',
  ]).sort();
  const modules = files.map((file) => require(resolve(file)) as Record<string, unknown>);
  const services = modules.flatMap((module) => Object.values(module).filter(isService));
  return services.flatMap(({ methods }) => methods);
}

function isService(value: unknown): value is DescService {
  return typeof value === 'object' && (value as { kind?: string } | null)?.kind === 'service';
}

type Call = (request: unknown, options: object) => PromiseLike<unknown> | AsyncIterable<unknown>;

/**
 * The refusal of an empty request, or an empty stream, with this credential; undefined if the method
 * answered.
 */
export async function emptyCall(
  service: Service,
  method: DescMethod,
  credential?: string,
  protocol: Protocol = 'grpc',
): Promise<Refusal | undefined> {
  const client = service.client(method.parent, protocol, credential) as Record<string, Call>;
  const call = client[method.localName] as Call;
  const leaving = new AbortController();
  const streams =
    method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  const answered = (async () => {
    const got = call(streams ? none() : {}, { signal: leaving.signal });
    if (!(Symbol.asyncIterator in got)) return got;
    for await (const _ of got) break;
    return undefined;
  })();
  const refused = await refusal(answered).catch((error) => {
    if (/not refused/.test(String(error))) return undefined;
    throw error;
  });
  leaving.abort();
  return refused;
}

async function* none(): AsyncIterable<object> {}
