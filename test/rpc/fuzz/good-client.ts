import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { SessionService } from '../../../gen/countersign/v1/session_service_pb.ts';
import type { Child } from '../../child.ts';
import { clients, PROTOCOLS } from '../../harness/clients.ts';

type Sessions = Client<typeof SessionService>;

/** Between two calls: long enough that they do not wait for each other. */
const PACE_MS = 5;
const WARM_UP_ROUNDS = 300;
const PATIENCE_MS = 20_000;

/** Calls by every protocol at a steady pace on its own connections, and listens to streams. */
export class GoodClient {
  /** What it was told instead of an answer. */
  readonly errors: string[] = [];
  readonly #clients: readonly Sessions[];
  readonly #leaving = new AbortController();
  #work: Promise<void>[] = [];
  #latencies: number[] = [];

  constructor(service: Child) {
    const { client } = clients(service);
    const baseUrl = `http://${service.httpAddress}`;
    this.#clients = [
      ...PROTOCOLS.map((protocol) => client(SessionService, protocol)),
      createClient(SessionService, createConnectTransport({ baseUrl, httpVersion: '2' })),
    ];
  }

  /** As many calls as make the service what it is after a while. */
  async warmUp(): Promise<void> {
    for (let round = 0; round < WARM_UP_ROUNDS; round += 1) {
      await Promise.all(this.#clients.map((each) => this.#call(each)));
    }
  }

  come(): void {
    this.#work = [this.#callOn(), ...this.#clients.map((each) => this.#listenOn(each))];
  }

  /** How long its calls take (ms) that began since this was last asked; those that still run are added. */
  latencies(): number[] {
    const latencies = this.#latencies;
    this.#latencies = [];
    return latencies;
  }

  async leave(): Promise<void> {
    this.#leaving.abort();
    await Promise.all(this.#work);
  }

  async #callOn(): Promise<void> {
    const calls: Promise<void>[] = [];
    for (let i = 0; !this.#leaving.signal.aborted; i += 1) {
      calls.push(this.#call(this.#clients[i % this.#clients.length] as Sessions));
      await sleep(PACE_MS);
    }
    await Promise.all(calls);
  }

  async #call(sessions: Sessions): Promise<void> {
    const latencies = this.#latencies;
    const from = performance.now();
    try {
      const { active } = await sessions.introspectToken({ token: 'x' }, { timeoutMs: PATIENCE_MS });
      assert.equal(active, false);
    } catch (error) {
      this.errors.push(String(error));
    }
    latencies.push(performance.now() - from);
  }

  async #listenOn(sessions: Sessions): Promise<void> {
    const { signal } = this.#leaving;
    try {
      for await (const _ of sessions.watchRevocations({}, { signal }));
      this.errors.push('a stream ended');
    } catch (error) {
      if (!signal.aborted) this.errors.push(`a stream: ${error}`);
    }
  }
}
