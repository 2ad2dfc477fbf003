import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, residentBytes, spawnService } from '../../child.ts';
import { atEnd } from '../../harness/at-end.ts';
import { createDatabase } from '../../harness/database.ts';
import { MASTER_KEY } from '../../harness/prepared.ts';
import { FUZZ_LANES } from '../../harness/scale.ts';
import type { Listener } from './calls.ts';
import { Random } from './random.ts';
import { type Recorded, recordConversations } from './recorded.ts';
import { play, type Scenario } from './scenario.ts';

/** Makes up what one connection to one listener does. */
export type Fuzzer = {
  seed: number;
  listeners: readonly Listener[];
  scenario: (random: Random, listener: Listener, recorded: Recorded) => Scenario;
  /** What is wrong with the answer, if anything is. */
  faultIn: (received: Buffer) => string | undefined;
};

/** Without a bound V8 leaves garbage lying for minutes, and nobody sees what is held. */
const HEAP_MIB = 256;
/** Scenarios that are named when something goes wrong. */
const KEPT = 20;
/** A caller whom the service trusts, and one whom it does not. */
const ADDRESSES = ['127.0.0.1', '127.0.0.2'] as const;
const OF_STRANGER = `"address":"${ADDRESSES[1]}"`;

/** The service as a process of its own, and hostile callers of whom nothing must come. */
export class FuzzedService {
  readonly child: Child;
  /** What went wrong, with the scenarios that had been begun last. */
  readonly trouble: string[] = [];
  /** The most that the process held while it was fuzzed. */
  mostBytes = 0;
  /** Connections so far, and calls that the service knows from them. */
  played = 0;
  heard = 0;
  readonly #fuzzer: Fuzzer;
  readonly #recorded: Recorded;
  readonly #last: string[] = [];

  private constructor(child: Child, fuzzer: Fuzzer, recorded: Recorded) {
    this.child = child;
    this.#fuzzer = fuzzer;
    this.#recorded = recorded;
    child.process.once('exit', (code, signal) => this.#blame(`it ended with ${code ?? signal}`));
    this.#readLog();
  }

  static async start(fuzzer: Fuzzer): Promise<FuzzedService> {
    const child = await spawnService({
      DATABASE_URL: await createDatabase(),
      COUNTERSIGN_MASTER_KEY: MASTER_KEY,
      COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
      COUNTERSIGN_RATE_LIMITS: 'off',
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}`,
    });
    atEnd(() => child.end());
    return new FuzzedService(child, fuzzer, await recordConversations(child));
  }

  /** Lets hostile callers call for some time, and waits until they have left. */
  async fuzz(ms: number): Promise<void> {
    const until = performance.now() + ms;
    const lane = async () => {
      while (performance.now() < until && this.trouble.length === 0) await this.#playNext();
    };
    const measure = () => {
      this.mostBytes = Math.max(this.mostBytes, residentBytes(this.child));
    };
    const timer = setInterval(measure, 100);
    await Promise.all(Array.from({ length: FUZZ_LANES }, lane));
    clearInterval(timer);
    measure();
  }

  async #playNext(): Promise<void> {
    const { seed, listeners, scenario, faultIn } = this.#fuzzer;
    const number = this.played++;
    const random = new Random(seed, number);
    const listener = random.pick(listeners);
    const made = scenario(random, listener, this.#recorded);
    const from = random.pick(ADDRESSES);
    const { grpcAddress, httpAddress } = this.child;
    const name = `${number}: ${made.name} (${listener})`;
    this.#last.push(name);
    if (this.#last.length > KEPT) this.#last.shift();
    const received = await play(made, listener === 'grpc' ? grpcAddress : httpAddress, from);
    const fault = faultIn(received);
    if (fault !== undefined) this.trouble.push(`${fault}\n    after ${name}`);
    await sleep(random.below(20));
  }

  /** Nobody outside can make it log an error, or anything that is no line of the log. */
  #readLog(): void {
    let rest = '';
    this.child.process.stdout?.on('data', (chunk) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (levelOf(line) === 'error') this.#blame(line);
        if (line.includes(OF_STRANGER)) this.heard += 1;
      }
    });
    this.child.process.stderr?.on('data', (chunk) => this.#blame(String(chunk)));
  }

  #blame(what: string): void {
    this.trouble.push([what, ...this.#last].join('\n    after '));
  }
}

/** What is no line of the log counts as an error. */
function levelOf(line: string): unknown {
  try {
    return JSON.parse(line).level;
  } catch {
    return 'error';
  }
}
