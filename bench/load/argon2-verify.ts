import { availableParallelism } from 'node:os';
import argon2 from 'argon2';

/**
 * Measures how many passwords per second argon2 checks with the service's default parameters, with as
 * many checks at once as there are cores. Takes the number of seconds as its argument, and writes the
 * result to standard output.
 */
const PASSWORD = 'correct horse battery staple';
const hash = await argon2.hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
const startedAt = performance.now();
const end = startedAt + Number(process.argv[2]) * 1000;
let done = 0;
const work = async () => {
  for (; performance.now() < end; done += 1) {
    if (!(await argon2.verify(hash, PASSWORD))) throw new Error('the password does not match');
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, work));
process.stdout.write(String(done / ((performance.now() - startedAt) / 1000)));
