import { v7 as uuidv7 } from 'uuid';
import type { Caller } from './caller.ts';

/** Nobody is signed in, and no address calls: the command line, or the service itself at its start. */
export function noCaller(): Caller {
  const { signal } = new AbortController();
  return { requestId: uuidv7(), ipAddress: '', userAgent: 'countersign', signal };
}
