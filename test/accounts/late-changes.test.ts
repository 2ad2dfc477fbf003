import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { FakeProvider } from '../federation/fake-provider.ts';
import { REDIRECT } from '../federation/peer.ts';
import { addProviders } from '../federation/people.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, newEmail, PASSWORD, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { Authenticator } from '../passkeys/authenticator.ts';
import { startPasskeyService } from '../passkeys/people.ts';
import { PHRASES } from '../passwords/reset.ts';

let service: Service;
let provider: FakeProvider;

before(async () => {
  service = await startPasskeyService();
  provider = await FakeProvider.start();
  addProviders(service, [provider.settings()]);
});

/** How many calls wait for an account that a transaction has locked. */
async function waiting(): Promise<number> {
  const rows = await sql(
    service.databaseUrl,
    `select from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'
       and query like '%accounts%for update%'`,
  );
  return rows.length;
}

describe('A change by the holder of a session', () => {
  /** Calls that a thief may have in progress, each begun with a session that works. */
  const changes: Record<string, (accessToken: string) => Promise<() => Promise<unknown>>> = {
    'an API key': async (accessToken) => {
      const keys = service.client(ApiKeyService, 'grpc', accessToken);
      return () => keys.createApiKey({ displayName: 'back door' });
    },
    'a passkey': async (accessToken) => {
      const account = accountOf(service, { accessToken });
      const { optionsJson } = await account.beginPasskeyRegistration({});
      const credentialJson = new Authenticator().create(optionsJson);
      return () => account.finishPasskeyRegistration({ credentialJson, displayName: 'back door' });
    },
    'an app': async (accessToken) => {
      return () => accountOf(service, { accessToken }).beginTotpEnrollment({});
    },
    'an identity': async (accessToken) => {
      const account = accountOf(service, { accessToken });
      const begun = await account.startIdentityLink({ provider: 'fake', redirectUri: REDIRECT });
      const claims = { sub: newEmail() };
      const answer = provider.visit(begun.authorizationUrl, { claims });
      return () => account.finishIdentityLink({ ...answer, loginToken: begun.loginToken });
    },
    'another address': async (accessToken) => {
      return () => accountOf(service, { accessToken }).changeEmail({ newEmail: newEmail() });
    },
  };

  for (const [name, change] of Object.entries(changes)) {
    it(`C14 adds nothing once the owner has taken the account back, even if it was in progress: ${name}`, async () => {
      const { email, accessToken } = await signedIn(service);
      const notice = await passwordNotice(email, accessToken);
      const call = await change(accessToken);
      const client = new pg.Client({ connectionString: service.databaseUrl });
      await client.connect();
      await client.query('begin');
      await client.query('select from accounts where email = $1 for update', [email]);
      const secured = service.auth.secureAccount({ token: notice });
      await eventually(async () => (await waiting()) === 1);
      const late = refusal(call());
      await eventually(async () => (await waiting()) === 2);
      await client.query('commit');
      await client.end();
      await secured;
      assert.equal((await late).reason, 'TOKEN_REVOKED');
    });
  }

  /** The token of a notice about a session that still lives. */
  async function passwordNotice(email: string, accessToken: string): Promise<string> {
    await accountOf(service, { accessToken }).changePassword({
      currentPassword: PASSWORD,
      newPassword: PHRASES[0] ?? '',
    });
    return tokenIn(await service.mail.next(email, /password was changed/)) ?? '';
  }
});
