import type { Service } from '../harness/service.ts';
import { startService } from '../harness/service.ts';
import { callScripts } from './scripts/calls.ts';
import { credentialScripts } from './scripts/credentials.ts';
import type { Script } from './scripts/script.ts';
import { signInScripts } from './scripts/sign-ins.ts';

/** A bit of everything that a service does, and how its metrics show it. */
export const SCRIPTS: readonly Script[] = [...callScripts, ...credentialScripts, ...signInScripts];

/** A service whose metrics all have something to say. */
export function startObserved(): Promise<Service> {
  return startService();
}
