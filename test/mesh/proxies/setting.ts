import { startShop } from '../../access/shop.ts';
import type { Administrator } from '../../administrators.ts';
import { newKey } from '../../api-keys/keys.ts';
import { eventually } from '../../harness/eventually.ts';
import { type Person, person } from '../../harness/people.ts';
import type { Service } from '../../harness/service.ts';
import type { Ports } from './example-ports.ts';
import { type Change, type ProxyName, startProxy } from './proxy.ts';
import { type Answer, type Sent, send } from './send.ts';
import { type Received, startUpstream, type Upstream } from './upstream.ts';

/** A service behind a real proxy that asks Countersign, and people who have credentials. */
export type Setting = {
  name: ProxyName;
  service: Service;
  upstream: Upstream;
  ports: Ports;
  port: number;
  /** Where it speaks HTTP/2, if that is another one. */
  http2Port?: number;
  /** Holds orders.read. */
  boss: Administrator;
  /** Holds nothing. */
  pat: Person;
  /** An API key of the boss with the scope orders.read. */
  key: string;
};

export type Exchange = { answer: Answer; received: Received[] };

/** `http2` is what lets the proxy speak HTTP/2 without TLS, if its example does not. */
export async function startSetting(name: ProxyName, http2?: Change): Promise<Setting> {
  const { service, boss } = await startShop({ env: { COUNTERSIGN_EXCHANGE_AUDIENCES: 'billing' } });
  const upstream = await startUpstream();
  const pat = await person(service);
  const { secret: key } = await newKey(service, boss, { scopes: ['orders.read'] });
  const ports = portsOf(upstream, service.app);
  const port = await startProxy(name, ports, patiently);
  const http2Port = http2 ? await startProxy(name, ports, (text) => http2(patiently(text))) : port;
  const setting = { name, service, upstream, ports, port, http2Port, boss, pat, key };
  await untilAsked(setting);
  return setting;
}

type Addresses = { grpcAddress: string; httpAddress: string };

/** One replica stands in both places of an example, or two in one each. */
export function portsOf(upstream: Upstream, first: Addresses, second = first): Ports {
  const port = (address: string) => Number(address.split(':')[1]);
  return {
    upstream: upstream.port,
    grpc: [port(first.grpcAddress), port(second.grpcAddress)],
    http: [port(first.httpAddress), port(second.httpAddress)],
  };
}

/** The same setting behind another proxy, whose configuration is changed. */
export async function startChanged(setting: Setting, change: Change): Promise<Setting> {
  const { name, ports } = setting;
  return { ...setting, port: await startProxy(name, ports, (text) => change(patiently(text))) };
}

/** With longer deadlines: a busy machine is no outage. */
function patiently(text: string): string {
  return text
    .replaceAll(/\btimeout: (0\.5|1)s/g, 'timeout: 20s')
    .replaceAll(/_timeout (500ms|1s)\b/g, '_timeout 20s')
    .replace('timeout = 1000,', 'timeout = 20000,');
}

/** Proxies take a moment to find a replica healthy. */
async function untilAsked(setting: Setting): Promise<void> {
  await eventually(async () => {
    const { answer } = await exchange(setting, { fields: [bearer(setting.boss)] });
    return answer.status === 200;
  });
}

/** Sends a request to the proxy. Returns its answer, and what the service behind it got. */
export async function exchange(
  { port, http2Port = port, upstream }: Pick<Setting, 'port' | 'http2Port' | 'upstream'>,
  sent: Sent,
): Promise<Exchange> {
  upstream.taken();
  const answer = await send(sent.version === '2' ? http2Port : port, sent);
  return { answer, received: upstream.taken() };
}

export const bearer = ({ accessToken }: { accessToken: string }): [string, string] => [
  'Authorization',
  `Bearer ${accessToken}`,
];
