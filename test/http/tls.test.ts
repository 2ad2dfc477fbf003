import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, renameSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { makeCertificate, skip } from './certificates.ts';

const MASTER_KEY = Buffer.alloc(32, 7).toString('base64');

type Client = { cert: string; key: string } | undefined;

/** The status of /healthz and the name in the certificate that the HTTP listener shows. */
function overHttp(address: string, ca: string, client?: Client) {
  const [host, port] = address.split(':');
  const own = client && { cert: readFileSync(client.cert), key: readFileSync(client.key) };
  return new Promise<{ status: number | undefined; name: unknown }>((resolve, reject) => {
    const options = { host, port, path: '/healthz', ca: readFileSync(ca), agent: false, ...own };
    request(options, (response) => {
      const { CN: name } = (response.socket as TLSSocket).getPeerCertificate().subject;
      response.resume();
      resolve({ status: response.statusCode, name });
    })
      .on('error', reject)
      .end();
  });
}

/** Whether a gRPC client that trusts `ca` gets through to the gRPC listener. */
function overGrpc(address: string, ca: string, client?: Client): Promise<boolean> {
  const credentials = grpc.credentials.createSsl(
    readFileSync(ca),
    client ? readFileSync(client.key) : null,
    client ? readFileSync(client.cert) : null,
  );
  const stub = new grpc.Client(address, credentials);
  return new Promise((resolve) => {
    stub.waitForReady(Date.now() + 2000, (error) => {
      stub.close();
      resolve(!error);
    });
  });
}

describe('TLS', { skip }, () => {
  let directory: string;
  let first: { cert: string; key: string };

  before(() => {
    directory = temporaryDirectory();
    first = makeCertificate(directory, 'first');
  });

  const start = async (env: Record<string, string>) => {
    const child = await spawnService({
      DATABASE_URL: await createDatabase(),
      COUNTERSIGN_MASTER_KEY: MASTER_KEY,
      COUNTERSIGN_TLS_CERT_FILE: first.cert,
      COUNTERSIGN_TLS_KEY_FILE: first.key,
      ...env,
    });
    atEnd(() => child.end());
    return child;
  };

  it('is on both listeners, with certificates that are read again when they change', async () => {
    const original = { cert: join(directory, 'kept.pem') };
    spawnSync('cp', [first.cert, original.cert]);
    const child = await start({});
    assert.deepEqual(await overHttp(child.httpAddress, first.cert), { status: 200, name: 'first' });
    assert.equal(await overGrpc(child.grpcAddress, first.cert), true);
    const second = makeCertificate(directory, 'second');
    renameSync(second.key, first.key);
    renameSync(second.cert, first.cert);
    await eventually(async () => {
      const seen = await overHttp(child.httpAddress, first.cert).catch(() => undefined);
      return seen?.name === 'second';
    });
    await eventually(() => overGrpc(child.grpcAddress, first.cert), 10_000);
    assert.equal(await overGrpc(child.grpcAddress, original.cert), false);
  });

  it('admits only clients whose certificate is known, where it is told to', async () => {
    const client = makeCertificate(directory, 'client');
    const stranger = makeCertificate(directory, 'stranger');
    const child = await start({ COUNTERSIGN_TLS_CLIENT_CA_FILE: client.cert });
    assert.equal((await overHttp(child.httpAddress, first.cert, client)).status, 200);
    assert.equal(await overGrpc(child.grpcAddress, first.cert, client), true);
    for (const other of [stranger, undefined]) {
      await assert.rejects(overHttp(child.httpAddress, first.cert, other));
    }
  });
});
