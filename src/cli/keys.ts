import { parseArgs } from 'node:util';
import { operator } from '../platform/caller.ts';
import { listSigningKeys } from '../signing-keys/list-signing-keys.ts';
import { revokeSigningKey } from '../signing-keys/revoke-signing-key.ts';
import { rotateSigningKey } from '../signing-keys/rotate-signing-key.ts';
import type { SigningKeyView } from '../signing-keys/signing-key-view.ts';
import { EXIT, type Io, print } from './io.ts';
import { type Answer, type OnDatabase, onDatabase, printAnswer } from './on-database.ts';

export const KEYS_USAGE = `  keys      look after the signing keys, in the database that the service uses
              list                              next, active, retired, revoked
              rotate [--active KEY_ID] [--force]
                        make the next key sign; 75: it is too new, and --force is missing
              revoke KEY_ID --reason TEXT
                        refuse what a key signed, at once; 66: there is no such key
`;

type Values = { json: boolean; active: string; force: boolean; reason: string };
type KeysCommand = (on: OnDatabase, values: Values, keyId: string) => Promise<Answer>;

/** Looks after the signing keys without asking the service, which may be down. Returns the exit code. */
export async function keysCommand(io: Io, args: readonly string[]): Promise<number> {
  const asked = parse(args);
  if (!asked) return print(io.err, `Usage: countersign keys …\n\n${KEYS_USAGE}`, EXIT.usage);
  return onDatabase(io, async (on) => {
    const answer = await asked.run(on, asked.values, asked.keyId);
    return printAnswer(io, answer, asked.values.json);
  });
}

/** An id may begin with a hyphen, and then is not an option. */
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

const list: KeysCommand = async (on) => {
  const signingKeys = await listSigningKeys(needs(on), operator());
  return { json: { signingKeys }, text: signingKeys.map(line).join('') };
};

const rotate: KeysCommand = async (on, { active, force }) => {
  const json = await rotateSigningKey(needs(on), operator(), { activeKeyId: active, force });
  const done = json.rotated ? 'rotated' : 'nothing to do: that key had been replaced before';
  return { json, text: `${done}\n${line(json.nextKey)}${line(json.activeKey)}` };
};

const revoke: KeysCommand = async (on, { reason }, keyId) => {
  const json = await revokeSigningKey(needs(on), operator(), { keyId, reason });
  return { json, text: `${line(json.activeKey)}${line(json.revokedKey)}` };
};

/** What the use cases of signing keys need. */
function needs({ config, ...on }: OnDatabase) {
  return { ...config, ...on };
}

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
