import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

const RPC = /^ {2}rpc (\w+)\(/gm;

/** The methods of the contract without a `describe` of their name in a test file of their name. */
export function untested(): string[] {
  const texts = new Map<string, string>();
  for (const file of globSync('test/*/*.test.ts')) {
    const name = basename(file, '.test.ts');
    texts.set(name, `${texts.get(name) ?? ''}${readFileSync(file, 'utf8')}`);
  }
  return globSync('proto/countersign/v1/*_service.proto')
    .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(RPC)])
    .map(([, rpc = '']) => rpc)
    .filter((rpc) => !texts.get(kebabCase(rpc))?.includes(`describe('${rpc}'`));
}

function kebabCase(name: string): string {
  return name.replaceAll(/(?<!^)[A-Z]/g, '-$&').toLowerCase();
}
