import { ShopService } from '../../test/gen/countersign/test/v1/shop_service_pb.ts';
import { type Cleanups, waitForOutput } from '../service/cleanups.ts';
import { ISSUER, type RunningService } from '../service/service.ts';

const START_TIMEOUT_MS = 30_000;

export const ME_PATH = `/${ShopService.typeName}/Me`;
export const WATCH_PATH = `/${ShopService.typeName}/Watch`;

export type Shop = { address: string; pid: number };

/** Starts a service of somebody else's that verifies the tokens of `service`, or lets anyone call. */
export async function startShop(
  cleanups: Cleanups,
  service: Pick<RunningService, 'publicUrl'> | undefined,
  nodeArgs: readonly string[] = [],
): Promise<Shop> {
  const args = service ? [ISSUER, service.publicUrl] : [];
  const child = cleanups.process(
    process.execPath,
    [...nodeArgs, 'bench/load/shop-server.ts', ...args],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const [, address = ''] = await waitForOutput(child, /ready on (\S+)\n/, START_TIMEOUT_MS);
  return { address, pid: child.pid ?? 0 };
}
