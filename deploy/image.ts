import { copyFileSync, globSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PACKAGES_WITH_FILES } from './packages-with-files.ts';

/**
 * `node deploy/image.ts FOLDER` puts into a folder what the image runs, after `deploy/bundle.ts`: the
 * bundle without its source maps, what it serves as it is, the notices, and the few packages with files.
 */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: node deploy/image.ts FOLDER');

const packages = Object.entries(PACKAGES_WITH_FILES).flatMap(([name, files]) =>
  ['package.json', ...files].flatMap((pattern) => found(`node_modules/${name}/${pattern}`)),
);
for (const path of [
  'package.json',
  'LICENSE',
  ...found('dist/*.*'),
  ...found('dist/swagger-ui/*'),
  ...found('dist/src/*.js'),
  ...packages,
]) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  copyFileSync(path, join(folder, path));
}

function found(pattern: string): string[] {
  const paths = globSync(pattern);
  if (paths.length === 0) throw new Error(`${pattern} is not there: has the package changed?`);
  return paths;
}
