import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { JWK } from 'jose';
import { jwsHeader, verifyJws } from '../../src/sessions/verify-jws.ts';
import { verificationKey } from '../../src/signing-keys/verification-key.ts';

const directory =
  process.env['VECTORS_DIR'] ?? join(import.meta.dirname, '../../../shared/vectors');
const skip = existsSync(directory)
  ? false
  : 'the test vectors are not here: set VECTORS_DIR to a directory that holds testvectors_v1 of github.com/C2SP/wycheproof as wycheproof/, and the jws folder of github.com/ietf-jose/cookbook as rfc7520/';

type Test = { tcId: number; comment: string; jws: string; result: 'valid' | 'invalid' };
type Group = { comment: string; public?: Keys; private: Keys; tests: Test[] };
type Keys = JWK | { keys: JWK[] };

function read<T>(path: string): T {
  return JSON.parse(readFileSync(join(directory, path), 'utf8'));
}

/** What the service does with a token, given the keys that it has: finds the key, then verifies. */
async function accepts(jws: string, jwks: JWK[]): Promise<boolean> {
  const kid = jwsHeader(jws)?.kid;
  const candidates = jwks.filter((jwk) => jwk.kid === kid || jwks.length === 1);
  const [jwk] = candidates;
  if (!jwk || candidates.length > 1) return false;
  const key = verificationKey({ kid: 'the only one', ...jwk });
  return key !== undefined && (await verifyJws(jws, key)) !== undefined;
}

/** The algorithms that we sign with: valid vectors of others are refused, which is no fault. */
function isOurs(jwks: JWK[]): boolean {
  return jwks.every(({ alg }) => alg === 'ES256' || alg === 'RS256' || alg === 'EdDSA');
}

async function run(file: string): Promise<{ accepted: number; refused: number }> {
  const counts = { accepted: 0, refused: 0 };
  for (const group of read<{ testGroups: Group[] }>(`wycheproof/${file}`).testGroups) {
    const keys = group.public ?? group.private;
    const jwks = 'keys' in keys ? (keys.keys as JWK[]) : [keys];
    for (const { tcId, comment, jws, result } of group.tests) {
      const accepted = await accepts(jws, jwks);
      const what = `${group.comment} ${tcId} ${comment}`;
      if (result === 'invalid') assert.equal(accepted, false, what);
      else if (isOurs(jwks)) assert.equal(accepted, true, what);
      counts[accepted ? 'accepted' : 'refused'] += 1;
    }
  }
  return counts;
}

describe('The verifier of signatures', () => {
  it('S02 refuses every invalid JWS of Wycheproof and accepts the valid ones', {
    skip,
  }, async () => {
    const { accepted, refused } = await run('json_web_signature_test.json');
    assert.ok(accepted >= 10 && refused >= 380, `${accepted} accepted, ${refused} refused`);
  });

  it('S02 refuses every invalid JWK of Wycheproof and accepts the valid ones', {
    skip,
  }, async () => {
    const { accepted, refused } = await run('json_web_key_test.json');
    assert.ok(accepted >= 1 && refused >= 20, `${accepted} accepted, ${refused} refused`);
  });

  it('S02 verifies the RSA example of RFC 7520, section 4.1', { skip }, async () => {
    const { output } = read<{ output: { compact: string } }>('rfc7520/4_1.rsa_v15_signature.json');
    const jwk = { ...read<JWK>('rfc7520/3_3.rsa_public_key.json'), alg: 'RS256' };
    assert.equal(await accepts(output.compact, [jwk]), true);
    const [header, , signature] = output.compact.split('.');
    assert.equal(await accepts(`${header}.e30.${signature}`, [jwk]), false);
  });

  it('S02 refuses the example of RFC 7520, section 4.3, whose curve is none of ours', {
    skip,
  }, async () => {
    const { output } = read<{ output: { compact: string } }>('rfc7520/4_3.ecdsa_signature.json');
    const jwk = read<JWK>('rfc7520/3_1.ec_public_key.json');
    for (const alg of ['ES512', 'ES256']) {
      assert.equal(await accepts(output.compact, [{ ...jwk, alg }]), false);
    }
  });

  it('S02 verifies the Ed25519 example of RFC 8037, appendix A.4', async () => {
    const jwk = {
      kty: 'OKP',
      crv: 'Ed25519',
      alg: 'EdDSA',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    };
    const jws =
      'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg';
    assert.equal(await accepts(jws, [jwk]), true);
    assert.equal(await accepts(jws.replace('.RX', '.RY'), [jwk]), false);
    assert.equal(await accepts(jws, [{ ...jwk, crv: 'X25519' }]), false);
  });
});
