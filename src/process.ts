import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { App } from './app.ts';
import { run } from './cli.ts';
import { type Config, ConfigError, readConfig } from './config.ts';

const FILE_WATCH_MS = 1000;

const readFile = (path: string) => readFileSync(path, 'utf8');

/** Until SIGTERM or SIGINT. Files of secrets are read again when they change, and on SIGHUP. */
async function keepRunning(app: App, config: Config): Promise<void> {
  const watched = new Set<string>();
  const watch = (files: readonly string[]) => {
    for (const file of files) {
      if (!watched.has(file)) watchFile(file, { interval: FILE_WATCH_MS }, reload);
      watched.add(file);
    }
  };
  const reload = () => {
    try {
      const next = readConfig(process.env, readFile);
      app.reload(next);
      watch(next.files);
    } catch (error) {
      // A file that is being replaced; the old values stay until it can be read.
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) process.stderr.write(`not reloaded: ${problem}\n`);
    }
  };
  watch(config.files);
  process.on('SIGHUP', reload);
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve).once('SIGINT', resolve);
  });
  // A second signal means now.
  process.once('SIGTERM', () => process.exit(1)).once('SIGINT', () => process.exit(1));
  for (const file of watched) unwatchFile(file);
  await app.stop();
}

/** The reader of the output may go away: that ends the output and nothing else. */
function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.once('error', reject);
    process.stdout.write(text, (error) => {
      if (error) return reject(error);
      process.stdout.off('error', reject);
      resolve();
    });
  });
}

try {
  process.exitCode = await run(process.argv.slice(2), {
    env: process.env,
    readFile,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    write,
    isTerminal: process.stderr.isTTY === true,
    keepRunning,
  });
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
// What libraries leave open (a pool's timers) must not keep a command that is done.
if (process.exitCode !== undefined) setTimeout(() => process.exit(), 500).unref();
