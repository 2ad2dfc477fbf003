import { parseArgs } from 'node:util';
import { noCaller } from '../platform/no-caller.ts';
import { RevocationFeed } from '../revocations/revocation-feed.ts';
import { KeySet } from '../signing-keys/key-set.ts';
import { listSigningKeys } from '../signing-keys/list-signing-keys.ts';
import { revokeSigningKey } from '../signing-keys/revoke-signing-key.ts';
import { rotateSigningKey } from '../signing-keys/rotate-signing-key.ts';
import type { SigningKeyView } from '../signing-keys/signing-key-view.ts';
import { EXIT, type Io, print } from './io.ts';
import { type Answer, type OnDatabase, onDatabase, printAnswer } from './on-database.ts';

export const KEYS_USAGE = `  keys      look after the signing keys, in the database that the service uses
              list                              next, active, retired, revoked
              rotate [--active KEY_ID] [--force]
                        have the next key sign; 75: it is too new, and --force is not given
              revoke KEY_ID --reason TEXT
                        refuse what a key signed, at once; 66: there is no such key
`;

type Values = { json: boolean; active: string; force: boolean; reason: string };
type KeysCommand = (deps: Deps, values: Values, keyId: string) => Promise<Answer>;

/** Looks after the signing keys without asking the service, which may be down. Gives the exit code. */
export async function keysCommand(io: Io, args: readonly string[]): Promise<number> {
  const asked = parse(args);
  if (!asked) return print(io.err, `Usage: countersign keys …\n\n${KEYS_USAGE}`, EXIT.usage);
  return onDatabase(io, async (on) => {
    const answer = await asked.run(keysDeps(on), asked.values, asked.keyId);
    return printAnswer(io, answer, asked.values.json);
  });
}

/** An id may begin with a hyphen, and is no option then. */
const HYPHENED_ID = /^-[\w-]{42}$/;

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: args.map((arg) => (HYPHENED_ID.test(arg) ? ` ${arg}` : arg)),
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        active: { type: 'string', default: '' },
        force: { type: 'boolean', default: false },
        reason: { type: 'string', default: '' },
      },
    });
    const [action = '', keyId = '', ...more] = positionals;
    const run = { list, rotate, revoke }[action];
    const isRevoke = run === revoke;
    if (!run || more.length > 0 || isRevoke !== (keyId !== '')) return undefined;
    if (isRevoke !== (values.reason.trim() !== '')) return undefined;
    return { run, values: { ...values, active: values.active.trim() }, keyId: keyId.trim() };
  } catch {
    return undefined;
  }
}

type Deps = ReturnType<typeof keysDeps>;

function keysDeps({ config, ...on }: OnDatabase) {
  const keys = new KeySet(on.database, on.keyring);
  const revocations = new RevocationFeed({ ...config, ...on, keys });
  return { ...config, ...on, keys, revocations };
}

const list: KeysCommand = async (deps) => {
  const signingKeys = await listSigningKeys(deps);
  return { json: { signingKeys }, text: signingKeys.map(line).join('') };
};

const rotate: KeysCommand = async (deps, { active, force }) => {
  const json = await rotateSigningKey(deps, noCaller(), { activeKeyId: active, force });
  const done = json.rotated ? 'rotated' : 'nothing to do: that key had been replaced before';
  return { json, text: `${done}\n${line(json.nextKey)}${line(json.activeKey)}` };
};

const revoke: KeysCommand = async (deps, { reason }, keyId) => {
  const json = await revokeSigningKey(deps, noCaller(), { keyId, reason });
  return { json, text: `${line(json.activeKey)}${line(json.revokedKey)}` };
};

function line(key: SigningKeyView): string {
  const { keyId, algorithm, state } = key;
  return `${keyId}  ${algorithm}  ${state.padEnd(7)}  ${since(key)}\n`;
}

function since({ state, ...key }: SigningKeyView): string {
  switch (state) {
    case 'next':
      return `may sign from ${key.readyAt?.toISOString()}`;
    case 'active':
      return `signs since ${key.activatedAt?.toISOString()}`;
    case 'retired':
      return `is published until ${key.leavesJwksAt?.toISOString()}`;
    case 'revoked':
      return `revoked at ${key.revokedAt?.toISOString()}: ${key.revocationReason}`;
  }
}
