import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { DescMessage, Message } from '@bufbuild/protobuf';
import type { Interceptor } from '@connectrpc/connect';
import { DIRECTORY } from './prepared.ts';

/** Opened once: a file that is opened for each line costs several times as much. */
const logFile = openSync(join(DIRECTORY, `${process.pid}.log`), 'a');
const secretsFile = openSync(join(DIRECTORY, `${process.pid}.secrets`), 'a');
const noted = new Set<string>();
const listeners = new Set<(line: Record<string, unknown>) => void>();

/** Keeps what services log for the last test, and for `logLines`. */
export const logDestination = {
  write(line: string): void {
    writeSync(logFile, line);
    for (const listener of listeners) listener(JSON.parse(line));
  },
};

/** The lines that the services of this test file log while `work` runs. */
export async function logLines(
  work: () => Promise<unknown>,
  lines: Record<string, unknown>[] = [],
): Promise<Record<string, unknown>[]> {
  const listener = (line: Record<string, unknown>) => lines.push(line);
  listeners.add(listener);
  await work().finally(() => listeners.delete(listener));
  return lines;
}

/** Makes the last test look for this text in all logs (W09). */
export function noteSecret(secret: string): void {
  if (secret.length < 8 || noted.has(secret)) return;
  noted.add(secret);
  writeSync(secretsFile, `${JSON.stringify(secret)}\n`);
}

/** Notes every field that the proto calls a secret, in what is sent and what comes back. */
export const noteSecrets: Interceptor = (next) => async (req) => {
  if (!req.stream) noteMessage(req.method.input, req.message);
  const res = await next(req);
  if (!res.stream) noteMessage(res.method.output, res.message);
  return res;
};

function noteMessage(schema: DescMessage, message: Message): void {
  for (const field of schema.fields) {
    const value = fieldValue(message, field.localName, field.oneof?.localName);
    if (field.fieldKind === 'message' && value) noteMessage(field.message, value as Message);
    else if (field.proto.options?.debugRedact && typeof value === 'string') noteSecret(value);
  }
}

function fieldValue(message: Message, name: string, oneof: string | undefined): unknown {
  const fields = message as unknown as Record<string, unknown>;
  if (oneof === undefined) return fields[name];
  const chosen = fields[oneof] as { case?: string; value?: unknown };
  return chosen.case === name ? chosen.value : undefined;
}
