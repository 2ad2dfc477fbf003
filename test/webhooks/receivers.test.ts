import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, describe, it } from 'node:test';
import { WebhookDeliveryState } from '../../gen/countersign/v1/webhook_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import type { Service } from '../harness/service.ts';
import { freePort } from '../servers.ts';
import { snippet } from '../snippets.ts';
import { deliveriesOf, newPaused, startWebhookService, webhooksFor } from './webhooks.ts';

const LANGUAGES = [
  {
    language: 'Node',
    file: 'receiver.js',
    command: ['node', 'receiver.js'],
    needs: ['node', '-v'],
  },
  {
    language: 'Python',
    file: 'receiver.py',
    command: ['python', 'receiver.py'],
    needs: ['python', '-c', 'import standardwebhooks'],
  },
  { language: 'Go', file: 'receiver.go', command: ['./receiver'], needs: ['go', 'version'] },
] as const;

let folder: string;
let ports: number[];
let service: Service;

before(async () => {
  folder = temporaryDirectory();
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  ports = await Promise.all(LANGUAGES.map(() => freePort()));
  const env = { COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: [1, ...ports].join() };
  service = await startWebhookService({ env });
});

/** Runs a receiver of the document. Returns all that it has printed so far. */
async function receiver(
  [command, ...args]: readonly string[],
  secret: string,
  port: number,
): Promise<() => string> {
  const env = { PATH: process.env['PATH'], SECRET: secret, PORT: String(port) };
  const child: ChildProcess = spawn(command ?? '', args, { cwd: folder, env, stdio: 'pipe' });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      printed += chunk;
    });
  }
  const ended = once(child, 'close');
  atEnd(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await eventually(() => answers(port), 30_000);
  return () => printed;
}

async function answers(port: number): Promise<boolean> {
  return (await post(port, 'x', {}).catch(() => 0)) === 401;
}

async function post(port: number, body: string, headers: Record<string, string>) {
  return (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body, headers })).status;
}

describe('The receivers of docs/webhooks.md', () => {
  for (const [index, { language, file, command, needs }] of LANGUAGES.entries()) {
    it(`E03 verify messages, also during a rotation, and no others: in ${language}`, async (t) => {
      const [program, ...args] = needs;
      if (spawnSync(program, args).status !== 0) return t.skip(`${needs.join(' ')} fails`);
      const port = ports[index] ?? 0;
      writeFileSync(join(folder, file), snippet('webhooks', file));
      const built = { cwd: folder, encoding: 'utf8' } as const;
      if (language === 'Go') {
        const { status, stderr } = spawnSync('go', ['build', '-o', 'receiver', file], built);
        assert.equal(status, 0, stderr);
      }
      const webhooks = await webhooksFor(service, 'admin');
      const { id: webhookId, secret } = await newPaused(webhooks, ['role.created']);
      const printed = await receiver(command, secret, port);
      await webhooks.rotateWebhookSecret({ webhookId });
      const { delivery } = await webhooks.testWebhook({ webhookId });
      const id = delivery?.deliveryId ?? '';
      const url = `http://127.0.0.1:${port}/`;
      const mask = { paths: ['url', 'state'] };
      await webhooks.updateWebhook({ webhook: { webhookId, url, state: 1 }, updateMask: mask });
      await eventually(() => printed().includes(`webhook.tested ${id}`), 20_000);
      await eventually(async () => {
        const [only] = await deliveriesOf(webhooks, webhookId);
        return only?.state === WebhookDeliveryState.SUCCEEDED;
      });
      const forged = { 'webhook-id': id, 'webhook-signature': `v1,${'A'.repeat(43)}=` };
      const now = String(Math.floor(Date.now() / 1000));
      assert.equal(await post(port, '{}', { ...forged, 'webhook-timestamp': now }), 401);
      assert.equal(printed().trim(), `webhook.tested ${id}`);
    });
  }
});
