import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { errorFields, type Log } from './log.ts';
import type { TlsFiles } from './net.ts';

const LOOK_MS = 1000;

/** PEM texts. `ca` are the authorities of clients, if those must present a certificate. */
export type Certificate = { cert: Buffer; key: Buffer; ca: Buffer | undefined };

/**
 * The certificate of both listeners. It looks at the files every second, and takes over what they hold
 * only if all of it can be used together. Files may therefore be replaced one by one, or be missing for
 * a while: the certificate stays as it was until then.
 */
export class Certificates {
  readonly #files: TlsFiles;
  readonly #log: Log;
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #current: Certificate;
  #problem = '';

  /** Throws if the files can't be used. */
  static async open(files: TlsFiles, log: Log): Promise<Certificates> {
    try {
      return new Certificates(files, log, await readUsable(files));
    } catch (error) {
      const { message } = error as Error;
      throw new Error(`the files of COUNTERSIGN_TLS_… can't be used: ${message}`, { cause: error });
    }
  }

  private constructor(files: TlsFiles, log: Log, current: Certificate) {
    this.#files = files;
    this.#log = log;
    this.#current = current;
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  get current(): Certificate {
    return this.#current;
  }

  /** Calls `listener` after each change. Returns the function that ends this. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads the files again. Never throws: what can't be used is logged once, and looked at again. */
  async look(): Promise<void> {
    try {
      const next = await readUsable(this.#files, this.#current);
      this.#problem = '';
      if (next === this.#current) return;
      this.#current = next;
      for (const listener of this.#listeners) listener();
      this.#log.info({ component: 'tls' }, 'certificate replaced');
    } catch (error) {
      const problem = String(error);
      if (problem === this.#problem) return;
      this.#problem = problem;
      const fields = { component: 'tls', ...errorFields(error), stack: undefined };
      this.#log.warn(fields, 'certificate not replaced: its files are incomplete');
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }
}

/** What the files hold; `known`, if it is the same. Throws if no listener could use it. */
async function readUsable(files: TlsFiles, known?: Certificate): Promise<Certificate> {
  const { certFile, keyFile, clientCaFile } = files;
  const [cert, key, ca] = await Promise.all([
    readFile(certFile),
    readFile(keyFile),
    clientCaFile === undefined ? undefined : readFile(clientCaFile),
  ]);
  if (known?.cert.equals(cert) && known.key.equals(key) && equal(known.ca, ca)) return known;
  createSecureContext({ cert, key, ...(ca ? { ca } : {}) });
  // A context takes a file without any authority, and then admits no client.
  if (ca) new X509Certificate(ca);
  return { cert, key, ca };
}

function equal(one: Buffer | undefined, other: Buffer | undefined): boolean {
  return one === undefined || other === undefined ? one === other : one.equals(other);
}
