/** A TCP address to listen on. Port 0 asks the system for a free one. */
export type Address = { host: string; port: number };

/** The PEM files of a listener's certificate, and of the authorities whose clients it accepts. */
export type TlsFiles = { certFile: string; keyFile: string; clientCaFile: string | undefined };

/** Returns `host:port`, with the brackets that an IPv6 host needs. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
