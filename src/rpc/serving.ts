import type { Interceptor } from '@connectrpc/connect';
import type { CallLog } from '../platform/log.ts';
import type { CallFactory } from './call.ts';
import type { CallerMemory } from './caller-memory.ts';
import type { Limits } from './limits.ts';
import type { Service } from './services/service.ts';

/** What both listeners serve, and how: built once, so that they differ in their protocols alone. */
export type Serving = Readonly<{
  services: readonly Service[];
  /** The outermost first. */
  interceptors: Interceptor[];
  calls: CallFactory;
  log: CallLog;
  limits: Limits;
  /** What all callers hold. */
  memory: CallerMemory;
}>;
