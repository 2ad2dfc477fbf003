import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { everyMethod } from '../every-service.ts';
import { type Service, startService } from '../harness/service.ts';
import { readDocument, SchemaJudge } from './schemas.ts';

describe('/openapi.json', () => {
  const document = readDocument();
  const judge = new SchemaJudge(document);
  let service: Service;
  let url: string;

  before(async () => {
    service = await startService();
    url = `http://${service.app.httpAddress}`;
  });

  it('is OpenAPI 3.1, by the schema of the standard', async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(readFileSync('gen/openapi.json', 'utf8'));
    assert.ok(valid, JSON.stringify(errors));
    assert.equal(validator.version, '3.1');
  });

  it('is served with a tag, and not sent again to those who have it', async () => {
    const answer = await fetch(`${url}/openapi.json`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.equal(await answer.text(), readFileSync('gen/openapi.json', 'utf8'));
    const etag = answer.headers.get('etag') ?? '';
    const again = await fetch(`${url}/openapi.json`, { headers: { 'if-none-match': etag } });
    assert.equal(again.status, 304);
    assert.equal(await again.text(), '');
  });

  it('has every method, and says of each who may call it as its rule does', () => {
    const methods = everyMethod().filter(({ parent }) => parent.typeName.startsWith('countersign'));
    for (const { parent, name, methodKind } of methods) {
      const operation = document.paths[`/${parent.typeName}/${name}`]?.post;
      assert.ok(operation, name);
      const type = methodKind === 'unary' ? 'application/json' : 'application/connect+json';
      assert.ok(operation.requestBody?.content[type], name);
      const isPublic = operation.description.includes('Anyone may call.');
      assert.equal(operation.security.length === 0, isPublic, name);
    }
    const { security } = document.paths['/countersign.v1.AdminService/GetUser']?.post ?? {};
    assert.deepEqual(security, [{ accessToken: ['users.read'] }, { apiKey: ['users.read'] }]);
    const login = document.components.schemas['LoginRequest']?.['properties'];
    const { password } = login as Record<string, Record<string, unknown>>;
    assert.deepEqual([password?.['format'], password?.['writeOnly']], ['password', true]);
  });

  it('has examples of requests that fit their schemas', () => {
    for (const [path, { post }] of Object.entries(document.paths)) {
      for (const { schema, example } of Object.values(post?.requestBody?.content ?? {})) {
        if (example !== undefined) assert.equal(judge.problems(schema, example), '', path);
      }
    }
  });

  it('has no endpoint that is not there', async () => {
    for (const [path, { get, post }] of Object.entries(document.paths)) {
      if (path.startsWith('/countersign.')) continue;
      const answer = await fetch(`${url}${path}`, { method: post ? 'POST' : 'GET' });
      const said = await answer.text();
      const expected = (post ?? get)?.responses[String(answer.status)];
      assert.ok(answer.status !== 404 && expected, `${path}: ${answer.status} ${said}`);
      const schema = expected.content?.['application/json']?.schema;
      if (schema) assert.equal(judge.problems(schema, JSON.parse(said)), '', path);
    }
  });

  it('is not there if COUNTERSIGN_DOCS is off, and neither is its page', async () => {
    const { app } = await startService({ env: { COUNTERSIGN_DOCS: 'off' } });
    for (const path of ['/openapi.json', '/docs', '/docs/swagger-ui-bundle.js']) {
      assert.equal((await fetch(`http://${app.httpAddress}${path}`)).status, 404, path);
    }
  });
});
