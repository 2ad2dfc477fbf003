import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
/** Why tests with certificates are skipped, if they are. */
export const skip = hasOpenssl ? false : 'needs openssl, to make certificates';

/** A certificate of its own authority, for 127.0.0.1 or other names (`DNS:…`, `IP:…`, by comma). */
export function makeCertificate(
  directory: string,
  name: string,
  names = 'IP:127.0.0.1',
): { cert: string; key: string } {
  const cert = join(directory, `${name}.pem`);
  const key = join(directory, `${name}.key`);
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`, '-days', '2'];
  const made = spawnSync('openssl', [...args, ...subject, '-keyout', key, '-out', cert]);
  assert.equal(made.status, 0, String(made.stderr));
  return { cert, key };
}
