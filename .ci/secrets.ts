import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { lintSource } from '@secretlint/core';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';

const PRESET = '@secretlint/secretlint-rule-preset-recommend';
/** What tests call a password that must appear in no output. */
const ALLOWS = ['/user:sesame@host/'];

const config = {
  rules: [
    {
      id: PRESET,
      rule: creator,
      rules: [
        {
          id: '@secretlint/secretlint-rule-database-connection-string',
          options: { allows: ALLOWS },
        },
      ],
    },
  ],
};

/** Credentials in what git knows of, a line each, without the credential. */
export async function trackedSecrets(): Promise<string[]> {
  const listed = execFileSync('git', [
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  ]);
  const files = listed
    .toString()
    .split('\0')
    .filter((file) => file !== '' && existsSync(file));
  const found: string[] = [];
  for (const file of files) found.push(...(await secretsIn(file, readFileSync(file, 'utf8'))));
  return found;
}

/** Private keys, tokens of the usual services, URLs with a password: what secretlint recommends to look for. */
export async function secretsIn(filePath: string, content: string): Promise<string[]> {
  const source = { filePath, content, contentType: 'text' as const };
  const { messages } = await lintSource({ source, options: { config, maskSecrets: true } });
  return messages.map(
    ({ loc, message }) => `${filePath}:${loc.start.line} ${message}: revoke it, then remove it`,
  );
}
