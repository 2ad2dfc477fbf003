import { spawnSync } from 'node:child_process';

/** Runs a program of deployment's; undefined if it is not here, neither in PATH nor by the variable. */
export function run(name: 'helm' | 'kubectl' | 'kubeconform', args: readonly string[], input = '') {
  const program = process.env[`COUNTERSIGN_TEST_${name.toUpperCase()}`] ?? name;
  const { error, status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', input });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
  return { status, stdout, stderr };
}

/** Says why a test is skipped, if the program is not here. */
export function missing(name: 'helm' | 'kubectl'): string | false {
  return run(name, ['version', '--client']) === undefined && `${name} is not installed`;
}
