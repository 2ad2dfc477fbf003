import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { DescMessage } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Level } from '@bufbuild/protobuf/wkt';
import { accessRule } from '../../src/rpc/interceptors/access.ts';
import { everyMethod } from '../every-service.ts';
import { person } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { pathOf } from './wire.ts';

let service: Service;

before(async () => {
  service = await startService();
});

const methods = everyMethod();
const readable = methods.filter(({ idempotency }) => idempotency === Level.NO_SIDE_EFFECTS);

function hasSecret({ fields }: DescMessage): boolean {
  return fields.some(
    (field) =>
      field.proto.options?.debugRedact ||
      (field.fieldKind === 'message' && hasSecret(field.message)),
  );
}

describe('methods without side effects', () => {
  it('take no secret and no search text, which would stand in a URL', () => {
    assert.ok(readable.length > 5);
    for (const { name, input } of readable) {
      assert.ok(!hasSecret(input), name);
      assert.ok(!input.fields.some((field) => field.name === 'query'), name);
    }
  });

  it('are open to nobody by their address, since any page can make a browser send a GET', () => {
    for (const method of readable) {
      assert.equal(accessRule(method)?.trustedCallerAllowed, false, method.name);
    }
  });

  it('answer a GET, and let nobody keep the answer', async () => {
    const { accessToken } = await person(service, 'user');
    const getMe = methods.find(({ name }) => name === 'GetMe');
    assert.ok(getMe);
    const url = `http://${service.app.httpAddress}${pathOf(getMe)}?encoding=json&message=%7B%7D&connect=v1`;
    const response = await fetch(url, { headers: { authorization: `Bearer ${accessToken}` } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.equal((await fetch(url)).status, 401);
  });
});
