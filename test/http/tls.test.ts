import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { type Child, spawnService } from '../child.ts';
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

/** The names in the certificates that the two listeners show. */
function shownBy({ httpAddress, grpcAddress }: Child): Promise<string[]> {
  const shown = [httpAddress, grpcAddress].map((address) => {
    const { hostname: host, port } = new URL(`https://${address}`);
    const options = { host, port: Number(port), ALPNProtocols: ['h2'], rejectUnauthorized: false };
    return new Promise<string>((resolve, reject) => {
      const socket = connect(options, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      }).on('error', reject);
    });
  });
  return Promise.all(shown);
}

/** Checks the files, and waits until the log has said this many times in all that they can't be used. */
async function refusedSoOften(child: Child, times: number): Promise<void> {
  child.process.kill('SIGHUP');
  const lines = () => child.output().match(/certificate not replaced/g)?.length ?? 0;
  await eventually(() => lines() === times || child.process.exitCode !== null);
  assert.equal(child.process.exitCode, null, child.output());
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

  it('admits only clients whose certificate is known, if it is told to', async () => {
    const client = makeCertificate(directory, 'client');
    const stranger = makeCertificate(directory, 'stranger');
    const child = await start({ COUNTERSIGN_TLS_CLIENT_CA_FILE: client.cert });
    assert.equal((await overHttp(child.httpAddress, first.cert, client)).status, 200);
    assert.equal(await overGrpc(child.grpcAddress, first.cert, client), true);
    for (const other of [stranger, undefined]) {
      await assert.rejects(overHttp(child.httpAddress, first.cert, other));
    }
  });

  it('W08 keeps its certificate while files are replaced one by one, missing or half-written', async () => {
    const files = makeCertificate(temporaryDirectory(), 'old');
    const next = makeCertificate(temporaryDirectory(), 'new');
    const child = await start({
      COUNTERSIGN_TLS_CERT_FILE: files.cert,
      COUNTERSIGN_TLS_KEY_FILE: files.key,
    });
    const whole = readFileSync(next.cert);
    const steps = [
      () => copyFileSync(next.cert, files.cert),
      () => rmSync(files.cert),
      () => writeFileSync(files.cert, whole.subarray(0, whole.length / 2)),
      () => rmSync(files.key),
    ];
    for (const [index, step] of steps.entries()) {
      step();
      await refusedSoOften(child, index + 1);
      assert.deepEqual(await shownBy(child), ['old', 'old']);
    }
    copyFileSync(next.cert, files.cert);
    copyFileSync(next.key, files.key);
    await eventually(async () => (await shownBy(child)).join() === 'new,new');
  });

  it('W08 keeps admitting clients while the file of their authorities is missing or empty', async () => {
    const directory = temporaryDirectory();
    const [one, other] = ['one', 'other'].map((name) => makeCertificate(directory, name));
    assert.ok(one && other);
    const authorities = join(directory, 'clients.pem');
    copyFileSync(one.cert, authorities);
    const server = makeCertificate(directory, 'server');
    const child = await start({
      COUNTERSIGN_TLS_CERT_FILE: server.cert,
      COUNTERSIGN_TLS_KEY_FILE: server.key,
      COUNTERSIGN_TLS_CLIENT_CA_FILE: authorities,
    });
    const admits = async (client: Client) => [
      (await overHttp(child.httpAddress, server.cert, client).catch(() => undefined))?.status ===
        200,
      await overGrpc(child.grpcAddress, server.cert, client),
    ];
    const steps = [() => rmSync(authorities), () => writeFileSync(authorities, '')];
    for (const [index, step] of steps.entries()) {
      step();
      await refusedSoOften(child, index + 1);
      assert.deepEqual(await admits(one), [true, true]);
    }
    copyFileSync(other.cert, authorities);
    await eventually(async () => (await admits(other)).every(Boolean));
    assert.deepEqual(await admits(one), [false, false]);
  });

  it('does not start with files that do not fit together, and says so', async () => {
    const directory = temporaryDirectory();
    const key = makeCertificate(directory, 'another').key;
    await assert.rejects(
      start({ COUNTERSIGN_TLS_KEY_FILE: key }),
      /COUNTERSIGN_TLS_… can't be used/,
    );
  });
});
