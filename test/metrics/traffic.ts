import { eventually } from '../harness/eventually.ts';
import { startService } from '../harness/service.ts';
import { startTarget } from '../webhooks/target-server.ts';
import { LOOPBACK } from '../webhooks/webhooks.ts';
import { type Family, scrape } from './scrape.ts';
import { callScripts } from './scripts/calls.ts';
import { credentialScripts } from './scripts/credentials.ts';
import { dependencyScripts } from './scripts/dependencies.ts';
import type { Observed, Script } from './scripts/script.ts';
import { signInScripts } from './scripts/sign-ins.ts';

/** A bit of everything that a service does, and how its metrics show it. */
export const SCRIPTS: readonly Script[] = [
  ...callScripts,
  ...credentialScripts,
  ...signInScripts,
  ...dependencyScripts,
];

/** Nothing listens there. */
const NOBODY = 'http://127.0.0.1:1';

/** A service whose metrics all have something to say. */
export async function startObserved(): Promise<Observed> {
  const good = await startTarget();
  const bad = await startTarget((response) => response.writeHead(500).end());
  const service = await startService({
    env: {
      ...LOOPBACK,
      COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: `${good.port},${bad.port}`,
      COUNTERSIGN_MESH_SHADOW: 'on',
      COUNTERSIGN_PWNED_PASSWORDS_URL: NOBODY,
    },
  });
  return { ...service, targets: { good: good.url, bad: bad.url } };
}

/** All metrics of a service, once each of them has a value, or as they are after a while. */
export async function everyFamily(service: Observed): Promise<Family[]> {
  let families: Family[] = [];
  const haveValues = async () => {
    makeGarbage();
    families = [...(await scrape(service)).values()];
    return families.every(({ samples }) => samples.length > 0);
  };
  await eventually(haveValues).catch(() => {});
  return families;
}

/** For the collector, whose pauses are a metric. */
function makeGarbage(): void {
  for (let i = 0; i < 20; i += 1) structuredClone(Array.from({ length: 10_000 }, () => ({})));
}
