import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { isLoopback, type TlsFiles } from '../platform/net.ts';
import { type Finding, findings, nameOf, type Sentences } from './finding.ts';

const DAY_MS = 24 * 3600_000;
/** Whatever renews certificates has done so by then. */
const SOON_DAYS = 14;

export const CERTIFICATE = {
  'certificate.none': { state: 'ok', says: 'none: the listeners speak without TLS' },
  'certificate.ok': { state: 'ok', says: '{file} is valid until {until}, for {days} days' },
  'certificate.soon': {
    state: 'warning',
    says: '{file} is valid for {days} more days, until {until}',
    todo: 'renew it; the service takes the new file within a second',
  },
  'certificate.expired': {
    state: 'failure',
    says: '{file} expired at {until}: clients refuse to connect',
    todo: 'renew it; the service takes the new file within a second',
  },
  'certificate.early': {
    state: 'failure',
    says: '{file} is valid only from {from} on',
    todo: 'set the clock of this machine, or wait',
  },
  'certificate.unreadable': {
    state: 'failure',
    says: '{file} can not be used: {error}',
    todo: 'let the user of the service read it; it has to be PEM',
  },
  'certificate.other_key': {
    state: 'failure',
    says: 'the key of COUNTERSIGN_TLS_KEY_FILE does not belong to the certificate',
    todo: 'put the pair in place that was made together',
  },
  'certificate.name': {
    state: 'warning',
    says: 'the certificate is not for {host}, the host of COUNTERSIGN_PUBLIC_URL',
    todo: 'nothing if a proxy in front has the certificate for it; otherwise get one that names it',
  },
} as const satisfies Sentences;

const say = findings(CERTIFICATE);

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Whether the files of COUNTERSIGN_TLS_… hold what clients accept, and for how long. */
export async function checkCertificate(
  tls: TlsFiles | undefined,
  publicUrl: string | undefined,
  now: Date = new Date(),
): Promise<Finding[]> {
  if (!tls) return [say('certificate.none')];
  const { certFile, keyFile, clientCaFile } = tls;
  const found = [await ofFile(certFile, now)];
  if (clientCaFile !== undefined) found.push(await ofFile(clientCaFile, now));
  if (found[0]?.code === 'certificate.unreadable') return found;
  const [leaf] = await chainIn(certFile);
  const host = publicUrl === undefined ? '' : new URL(publicUrl).hostname;
  if (leaf && host !== '' && !isLoopback(host) && !isFor(leaf, host)) {
    found.push(say('certificate.name', { host }));
  }
  try {
    const key = createPrivateKey(await readFile(keyFile));
    if (leaf && !leaf.checkPrivateKey(key)) found.push(say('certificate.other_key'));
  } catch (error) {
    found.push(say('certificate.unreadable', { file: keyFile, error: nameOf(error) }));
  }
  return found;
}

function isFor(certificate: X509Certificate, host: string): boolean {
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  const names = isIP(plain) === 0 ? certificate.checkHost(host) : certificate.checkIP(plain);
  return names !== undefined;
}

/** What the first certificate of a chain to expire says of the whole. */
async function ofFile(file: string, now: Date): Promise<Finding> {
  try {
    const chain = await chainIn(file);
    if (chain.length === 0) return say('certificate.unreadable', { file, error: 'no certificate' });
    const until = new Date(Math.min(...chain.map(({ validToDate }) => validToDate.getTime())));
    const from = new Date(Math.max(...chain.map(({ validFromDate }) => validFromDate.getTime())));
    const days = Math.floor((until.getTime() - now.getTime()) / DAY_MS);
    const values = { file, until: until.toISOString(), from: from.toISOString(), days };
    if (until <= now) return say('certificate.expired', values);
    if (from > now) return say('certificate.early', values);
    return say(days < SOON_DAYS ? 'certificate.soon' : 'certificate.ok', values);
  } catch (error) {
    return say('certificate.unreadable', { file, error: nameOf(error) });
  }
}

async function chainIn(file: string): Promise<X509Certificate[]> {
  const pem = await readFile(file, 'utf8');
  return (pem.match(CERTIFICATES) ?? []).map((each) => new X509Certificate(each));
}
