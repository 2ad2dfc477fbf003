import { availableParallelism } from 'node:os';
import { hash, verify } from '@node-rs/argon2';

/**
 * Measures how many passwords per second the library that the service uses checks by itself, with the
 * service's default parameters and as many checks at once as there are cores. Takes the number of
 * seconds as its argument, and writes the result to standard output.
 */
const PASSWORD = 'correct horse battery staple';
const stored = await hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
const startedAt = performance.now();
const end = startedAt + Number(process.argv[2]) * 1000;
let done = 0;
const work = async () => {
  for (; performance.now() < end; done += 1) {
    if (!(await verify(stored, PASSWORD))) throw new Error('the password does not match');
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, work));
process.stdout.write(String(done / ((performance.now() - startedAt) / 1000)));
