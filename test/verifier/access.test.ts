import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadSync } from '@grpc/proto-loader';
import {
  admit,
  type GrpcService,
  type Rule,
  RuleBook,
  type Rules,
} from '../../packages/verifier/src/access.ts';
import type { Principal } from '../../packages/verifier/src/principal.ts';
import { EchoService } from '../gen/countersign/test/v1/echo_service_pb.ts';
import { ShopService } from '../gen/countersign/test/v1/shop_service_pb.ts';

const SHOP = '/countersign.test.v1.ShopService';
const NOW = 1_800_000_000;

const pat: Principal = {
  type: 'user',
  subject: '01890000-0000-7000-8000-000000000000',
  sessionId: '01890000-0000-7000-8000-000000000001',
  apiKeyId: '',
  tokenId: 'token',
  keyId: 'key',
  emailVerified: true,
  roles: ['user'],
  permissions: [],
  scopes: [],
  amr: ['pwd'],
  audience: ['shop'],
  authTime: NOW - 60,
  issuedAt: NOW - 60,
  expiresAt: NOW + 540,
  tokenVersion: 0,
  actors: [],
};
const key: Principal = { ...pat, apiKeyId: 'key', sessionId: '', authTime: 0 };

/** The same service as `@grpc/proto-loader` reads it. */
function loaded(options: object): GrpcService {
  const file = 'countersign/test/v1/shop_service.proto';
  const definitions = loadSync(file, { includeDirs: ['test/proto', 'proto'], ...options });
  return definitions['countersign.test.v1.ShopService'] as unknown as GrpcService;
}

const BOOKS = {
  'generated code': () => new RuleBook([ShopService]),
  'proto-loader with the names of the proto': () => new RuleBook([loaded({ keepCase: true })]),
  'proto-loader in camel case': () => new RuleBook([loaded({})]),
};

for (const [source, bookOf] of Object.entries(BOOKS)) {
  describe(`Access rules by ${source}`, () => {
    const book = bookOf();
    const rule = (method: string) => book.of(`${SHOP}/${method}`);
    const may = (method: string, principal: Principal | undefined) => {
      try {
        return admit(rule(method), { principal }, NOW);
      } catch (error) {
        return (error as { reason?: string }).reason;
      }
    };

    it('let anyone call a public method, for whom it does not act for a key', () => {
      assert.equal(may('Greet', undefined), undefined);
      assert.equal(may('Greet', pat), pat);
      assert.equal(may('Greet', key), undefined);
    });

    it('ask for a credential, of a kind that the method accepts', () => {
      assert.equal(may('Me', undefined), 'CREDENTIALS_MISSING');
      assert.equal(may('Me', pat), pat);
      assert.equal(may('Me', key), 'PERMISSION_DENIED');
    });

    it('ask for a sign-in that is recent enough', () => {
      assert.equal(may('Pay', pat), pat);
      assert.equal(may('Pay', { ...pat, authTime: NOW - 601 }), 'REAUTHENTICATION_REQUIRED');
    });

    it('ask for a permission, or the alternative to it', () => {
      const reader = { ...pat, permissions: ['users.read'] };
      const auditor = { ...key, permissions: ['audit.read'] };
      assert.equal(may('List', pat), 'PERMISSION_DENIED');
      assert.equal(may('List', reader), reader);
      assert.equal(may('List', auditor), auditor);
      assert.equal(may('Watch', auditor), 'PERMISSION_DENIED');
    });
  });
}

describe('A rule that is given beside the proto', () => {
  const closed = 'countersign.test.v1.EchoService/Closed';
  const bookWith = (rules: object) => new RuleBook([EchoService], rules as Rules);

  it('M03 opens nothing if it says that it does not', () => {
    const wrong = [
      { public: false },
      { signedIn: false },
      { permission: '' },
      {},
      { signedIn: true, maxSignInAgeSeconds: Number.NaN },
      { signedIn: true, maxSignInAgeSeconds: '600' },
    ];
    for (const rule of wrong) {
      assert.throws(() => bookWith({ [closed]: rule }), /EchoService\/Closed can't be read/);
    }
    const anyone = { principal: undefined };
    const has = (rule: object) => admit(rule as Rule, { principal: pat }, NOW);
    assert.throws(() => admit({ public: false } as unknown as Rule, anyone, NOW));
    assert.throws(() => has({ public: false, permission: 'users.read' }));
    assert.throws(() => has({ signedIn: false, permission: 'users.read' }));
    assert.throws(() => has({ signedIn: true, maxSignInAgeSeconds: Number.NaN }));
  });

  it('M03 is named if there is no such method', () => {
    const rules = {
      [closed]: { public: true },
      'countersign.test.v1.EchoService/Cloesd': { signedIn: true },
    };
    assert.throws(() => bookWith(rules), /no method of `services`: .*Cloesd/);
  });
});

describe('A method without an access rule', () => {
  it('is named at the start', () => {
    assert.throws(() => new RuleBook([ShopService, EchoService]), /EchoService\/Closed/);
    const other = { check: { path: '/grpc.health.v1.Health/Check' } };
    assert.throws(() => new RuleBook([other]), /grpc\.health\.v1\.Health\/Check/);
  });

  it('can be given one, by its service or its own name', () => {
    const closed = 'countersign.test.v1.EchoService/Closed';
    const book = new RuleBook([EchoService], { [closed]: { public: true } });
    assert.deepEqual(book.of(`/${closed}`), { public: true });
    const other = { check: { path: '/grpc.health.v1.Health/Check' } };
    const rules = { 'grpc.health.v1.Health': { public: true } } as const;
    assert.deepEqual(new RuleBook([other], rules).of(other.check.path), { public: true });
  });

  it('is closed if it was not named', () => {
    assert.throws(() => new RuleBook([ShopService]).of('/other.Service/Method'), {
      reason: 'PERMISSION_DENIED',
    });
  });

  it('M03 has none if its rule opens nothing', () => {
    const option = '(countersign.v1.access)';
    for (const rule of [{}, { public: false }, { permission: '' }, { signed_in: 'yes' }, 'public'])
      assert.throws(() => new RuleBook([{ a: { path: '/a.B/C', options: { [option]: rule } } }]));
  });
});
