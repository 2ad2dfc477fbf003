import { parseArgs } from 'node:util';
import { Account } from '../accounts/account.entity.ts';
import { canonicalEmail } from '../accounts/email.ts';
import type { KeyOwner } from '../api-keys/api-key.repository.ts';
import { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import type { ApiKeyView } from '../api-keys/api-key-view.ts';
import { createApiKey } from '../api-keys/create-api-key.ts';
import { listApiKeys } from '../api-keys/list-api-keys.ts';
import { revokeApiKey } from '../api-keys/revoke-api-key.ts';
import { operator } from '../platform/caller.ts';
import { addMs } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { EXIT, type Io, print } from './io.ts';
import { type Answer, type OnDatabase, onDatabase, printAnswer } from './on-database.ts';

export const API_KEYS_USAGE = `  apikeys   look after API keys, in the database that the service uses
              create OWNER --name TEXT [--scope PERMISSION]… [--cidr NETWORK]… [--expires 90d]
                        make a key; its secret is printed this once
              list OWNER                        those that were not revoked
              revoke KEY_ID                     permanently; 66: there is no such key
              OWNER is --email ADDRESS or --service-account ID
`;

const DAY_MS = 86_400_000;
const PAGE = 100;

type Values = {
  json: boolean;
  email: string;
  'service-account': string;
  name: string;
  scope: string[];
  cidr: string[];
  expires: string;
};
type Command = (deps: Deps, values: Values, keyId: string) => Promise<Answer>;

/** Looks after API keys without asking the service, which may be down. Returns the exit code. */
export async function apiKeysCommand(io: Io, args: readonly string[]): Promise<number> {
  const asked = parse(args);
  if (!asked) return print(io.err, `Usage: countersign apikeys …\n\n${API_KEYS_USAGE}`, EXIT.usage);
  return onDatabase(io, async (on) => {
    const answer = await asked.run(depsOf(on), asked.values, asked.keyId);
    return printAnswer(io, answer, asked.values.json);
  });
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        email: { type: 'string', default: '' },
        'service-account': { type: 'string', default: '' },
        name: { type: 'string', default: '' },
        scope: { type: 'string', multiple: true, default: [] },
        cidr: { type: 'string', multiple: true, default: [] },
        expires: { type: 'string', default: '' },
      },
    });
    const [action = '', keyId = '', ...more] = positionals;
    const run = { create, list, revoke }[action];
    const hasOwner = (values.email === '') !== (values['service-account'] === '');
    if (!run || more.length > 0 || (run === revoke) !== (keyId !== '')) return undefined;
    if ((run !== revoke) !== hasOwner || (run === create) !== (values.name !== ''))
      return undefined;
    if (!/^(\d{1,5}d)?$/.test(values.expires) || !isUuidOrNone(keyId, values)) return undefined;
    return { run, values, keyId };
  } catch {
    return undefined;
  }
}

function isUuidOrNone(...[keyId, values]: [string, { 'service-account'?: string }]): boolean {
  const uuid = /^([\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12})?$/i;
  return uuid.test(keyId) && uuid.test(values['service-account'] ?? '');
}

type Deps = ReturnType<typeof depsOf>;

function depsOf(on: OnDatabase) {
  const { config, sql: database, log, hints, revocations } = on;
  const { caches } = config;
  return { ...on, apiKeyMemory: new ApiKeyMemory({ caches, database, log, hints, revocations }) };
}

async function ownerOf({ database }: Deps, values: Values): Promise<KeyOwner> {
  if (values.email === '') return { type: 'service_account', id: values['service-account'] };
  const account = await database.read(operator(), (em) =>
    em.findOne(Account, {
      canonicalEmail: canonicalEmail(values.email),
      state: { $ne: 'deleted' },
    }),
  );
  if (account) return { type: 'user', id: account.id };
  throw new Failure('not_found', 'NOT_FOUND', 'there is no account with this address');
}

const create: Command = async (deps, values) => {
  const days = Number(values.expires.slice(0, -1));
  const settings = {
    displayName: values.name,
    scopes: values.scope,
    allowedCidrs: values.cidr,
    limit: undefined,
    expiresAt: values.expires === '' ? undefined : addMs(deps.clock.now(), days * DAY_MS),
  };
  const owner = await ownerOf(deps, values);
  const made = await createApiKey(deps, operator(), { settings, owner });
  return { json: made, text: `${line(made.apiKey)}${made.secret}\n` };
};

const list: Command = async (deps, values) => {
  const { type, id } = await ownerOf(deps, values);
  const owner = type === 'user' ? { userId: id } : { serviceAccountId: id };
  const apiKeys: ApiKeyView[] = [];
  for (let pageToken = ''; ; ) {
    const request = { userId: '', serviceAccountId: '', ...owner, showRevoked: false };
    const asked = { ...request, pageSize: PAGE, pageToken };
    const page = await listApiKeys(deps, operator(), asked);
    apiKeys.push(...page.apiKeys);
    pageToken = page.nextPageToken;
    if (pageToken === '') break;
  }
  return { json: { apiKeys }, text: apiKeys.map(line).join('') };
};

const revoke: Command = async (deps, _values, keyId) => {
  await revokeApiKey(deps, operator(), keyId);
  return { json: { apiKeyId: keyId, revoked: true }, text: `revoked ${keyId}\n` };
};

function line({ apiKeyId, displayName, scopes, expiresAt, lastUsedAt }: ApiKeyView): string {
  const end = expiresAt ? `until ${expiresAt.toISOString()}` : 'until it is revoked';
  const use = lastUsedAt ? `used ${lastUsedAt.toISOString()}` : 'never used';
  return `${apiKeyId}  ${displayName}  [${scopes.join(' ')}]  ${end}  ${use}\n`;
}
