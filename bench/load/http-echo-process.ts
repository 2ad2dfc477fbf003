import { type Cleanups, waitForOutput } from '../service/cleanups.ts';

const START_TIMEOUT_MS = 30_000;

/** Starts a bare server that answers every request with these headers. Returns its address. */
export async function startHttpEcho(
  cleanups: Cleanups,
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const args = ['bench/load/http-echo.ts', JSON.stringify(headers)];
  const child = cleanups.process(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const [, address = ''] = await waitForOutput(child, /ready on (\S+)\n/, START_TIMEOUT_MS);
  return address;
}
