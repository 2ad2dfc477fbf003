import { isIP } from 'node:net';
import { unavailable } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { TargetAddresses } from './target-addresses.ts';
import { nameServers, type Resolve } from './target-names.ts';

const MAX_URL = 2000;
const HTTPS_PORTS: readonly number[] = [443, 8443];
const HTTP_PORTS: readonly number[] = [80];
const NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/;
/** Names that mean this machine whatever a name server says (RFC 6761, section 6.3). */
const LOCALHOST = /^(.+\.)?localhost$/;

/** A target that may be sent to, and the addresses that were checked: connect to no other. */
export type CheckedTarget = {
  url: URL;
  /** A name or an address, without brackets. */
  host: string;
  port: number;
  addresses: readonly string[];
};

/** A URL that webhooks are not sent to. The message follows the name of a field. */
export class TargetRefused extends Error {
  readonly kind: 'target_forbidden' | 'dns';

  constructor(kind: TargetRefused['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'TargetRefused';
    this.kind = kind;
  }
}

/** Where webhooks may be sent: the same rules at registration, in a test and at each delivery (E04). */
export class WebhookTargets {
  readonly #addresses: TargetAddresses;
  readonly #allowHttp: boolean;
  readonly #ports: readonly number[];
  readonly #resolve: Resolve;

  constructor(
    rules: {
      allowedNetworks: readonly string[];
      allowedPorts: readonly number[];
      allowHttp: boolean;
    },
    resolve: Resolve = nameServers(),
  ) {
    this.#addresses = new TargetAddresses(rules.allowedNetworks);
    this.#allowHttp = rules.allowHttp;
    this.#ports = rules.allowedPorts;
    this.#resolve = resolve;
  }

  /**
   * Returns the URL as it is stored. Throws `INVALID_REQUEST` for the field `path` if webhooks must not
   * be sent to it, and `DEPENDENCY_UNAVAILABLE` if no name server answers.
   */
  async require(text: string, path: string): Promise<string> {
    try {
      const { url } = await this.check(text);
      return url.href;
    } catch (error) {
      if (!(error instanceof TargetRefused)) throw error;
      if (error.cause !== undefined) throw unavailable('the name server', error);
      throw invalidField(path, error.message);
    }
  }

  /**
   * Resolves the host of a URL once, and returns its addresses if webhooks may be sent to every one of
   * them. Throws `TargetRefused`, whose message tells nothing of what the name resolves to.
   */
  async check(text: string): Promise<CheckedTarget> {
    const target = this.#read(text);
    const addresses = await this.#addressesOf(target.host);
    if (addresses.length === 0) throw new TargetRefused('dns', 'has a host that does not exist');
    if (!addresses.every((address) => this.#addresses.includes(address))) {
      throw forbidden(
        'leads to an address that is not of the Internet (COUNTERSIGN_WEBHOOK_ALLOWED_NETWORKS opens networks)',
      );
    }
    return { ...target, addresses };
  }

  #read(text: string): Omit<CheckedTarget, 'addresses'> {
    if (text.length > MAX_URL || !URL.canParse(text)) {
      throw forbidden('is not a URL like https://example.com/hooks');
    }
    const url = new URL(text);
    url.hostname = url.hostname.replace(/\.$/, '');
    const isHttps = url.protocol === 'https:';
    if (!isHttps && !(this.#allowHttp && url.protocol === 'http:')) {
      throw forbidden('does not begin with https://');
    }
    if (url.username !== '' || url.password !== '') throw forbidden('has a user or a password');
    if (url.hash !== '' || text.includes('#')) throw forbidden('has a fragment');
    const usual = isHttps ? HTTPS_PORTS : HTTP_PORTS;
    const port = url.port === '' ? (usual[0] as number) : Number(url.port);
    if (!usual.includes(port) && !this.#ports.includes(port)) {
      throw forbidden(
        'has a port that webhooks are not sent to (COUNTERSIGN_WEBHOOK_ALLOWED_PORTS)',
      );
    }
    return { url, host: hostOf(url), port };
  }

  async #addressesOf(host: string): Promise<string[]> {
    if (isIP(host) !== 0) return [host];
    if (LOCALHOST.test(host)) return ['127.0.0.1'];
    try {
      return await this.#resolve(host);
    } catch (error) {
      throw new TargetRefused('dns', 'has a host that no name server knows at present', error);
    }
  }
}

/** The host as the URL parser gives it, which has read every notation of an address. */
function hostOf(url: URL): string {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) === 0 && !NAME.test(host)) throw forbidden('has a host that is not a name');
  return host;
}

function forbidden(message: string): TargetRefused {
  return new TargetRefused('target_forbidden', message);
}
