import { globSync, readFileSync } from 'node:fs';
import type { Metafile } from 'esbuild';

/** The files in which packages bring the text of their licence. The others only name it in `package.json`. */
const LICENCE_FILES = '{LICENSE,LICENCE,License,NOTICE,license,licence}*';
/** For packages that name their licence without bringing its text. */
const TEXTS: Readonly<Record<string, string>> = {
  'Apache-2.0': 'LICENSE',
  'BSD-3-Clause': 'deploy/licences/BSD-3-Clause.txt',
  MIT: 'deploy/licences/MIT.txt',
  'MPL-2.0': 'deploy/licences/MPL-2.0.txt',
};
const RULE = `\n${'='.repeat(78)}\n\n`;

type Manifest = {
  name: string;
  version: string;
  license?: string;
  author?: string | { name: string };
};

/** The folders of the packages that the bundle has something of. */
export function bundledPackages({ outputs }: Metafile): string[] {
  const inputs = Object.values(outputs).flatMap((output) => Object.keys(output.inputs));
  const folders = inputs.map((path) => FOLDER.exec(path)?.[0]);
  return [...new Set(folders.filter((folder) => folder !== undefined))];
}
const FOLDER = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;

/** What the licences of these packages ask to be passed on with them: each one's text, in full. */
export function thirdPartyNotices(folders: readonly string[]): string {
  const named = new Set<string>();
  const notices = folders.map((folder) => {
    const manifest: Manifest = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    const files = globSync(LICENCE_FILES, { cwd: folder });
    const texts = files.map((file) => readFileSync(`${folder}/${file}`, 'utf8').trim());
    if (texts.length === 0) for (const id of idsOf(manifest)) named.add(id);
    return `${[title(manifest), ...texts].join('\n\n')}\n`;
  });
  const common = [...named].sort().map((id) => `${id}\n\n${readFileSync(textOf(id), 'utf8')}`);
  const head = 'Countersign contains these packages, each under the licence that stands with it.\n';
  return [head, ...[...new Set(notices)].sort(), ...common].join(RULE);
}

function title({ name, version, license, author }: Manifest): string {
  const by = typeof author === 'object' ? author.name : author;
  return `${name} ${version} (${license})${by === undefined ? '' : `, by ${by}`}`;
}

function idsOf({ name, license = '' }: Manifest): string[] {
  const ids = license.match(/[\w.-]*\d[\w.-]*|MIT|ISC/g) ?? [];
  if (ids.length === 0) throw new Error(`${name} says nothing about its licence`);
  return ids;
}

function textOf(id: string): string {
  const path = TEXTS[id];
  if (path === undefined) throw new Error(`put the text of ${id} into deploy/licences`);
  return path;
}
