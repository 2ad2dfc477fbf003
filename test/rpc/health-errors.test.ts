import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/health/v1/health_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { type Service, startService } from '../harness/service.ts';
import { callHeaders, DATA, END_HEADERS, END_STREAM, frame, HEADERS, RawHttp2 } from './frames.ts';

const NONSENSE = Buffer.from('0000000002ffff', 'hex');

describe('health and reflection, asked badly', () => {
  let service: Service;
  const health = () =>
    createClient(Health, createGrpcTransport({ baseUrl: `http://${service.app.grpcAddress}` }));

  before(async () => {
    service = await startService();
  });

  it('W01 says NOT_FOUND of an unknown service, and logs no error', async () => {
    const lines = await logLines(async () => {
      const refused = await health()
        .check({ service: 'no.such.Service' })
        .catch((error) => ConnectError.from(error));
      assert.ok(refused instanceof ConnectError);
      assert.equal(refused.code, Code.NotFound);
    });
    assert.deepEqual(
      lines.filter(({ level }) => level === 'error'),
      [],
    );
  });

  it('tells the watcher of an unknown service that it is unknown, and watches on', async () => {
    const stop = new AbortController();
    atEnd(() => stop.abort());
    const { signal } = stop;
    const seen: Status[] = [];
    const watching = (async () => {
      for await (const { status } of health().watch({ service: 'no.such.Service' }, { signal })) {
        seen.push(status);
      }
    })().catch((error) => ConnectError.from(error).code);
    await eventually(() => seen.length > 0);
    assert.deepEqual(seen, [Status.SERVICE_UNKNOWN]);
    stop.abort();
    assert.equal(await watching, Code.Canceled);
  });

  it('W01 refuses what is no message as INVALID_ARGUMENT, and logs no error', async () => {
    const paths = [
      '/grpc.health.v1.Health/Check',
      '/grpc.health.v1.Health/Watch',
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
    ];
    const lines = await logLines(async () => {
      for (const path of paths) {
        const raw = await RawHttp2.to(service.app.grpcAddress);
        raw.write(frame(HEADERS, END_HEADERS, 1, callHeaders(path)));
        raw.write(frame(DATA, END_STREAM, 1, NONSENSE));
        await eventually(() => raw.got(HEADERS, 1));
        raw.destroy();
      }
    });
    assert.deepEqual(
      lines.filter(({ level }) => level === 'error'),
      [],
    );
  });
});
