import * as grpc from '@grpc/grpc-js';
import { checkMessages, type InnermostCall } from './node-internals.ts';
import type { UnknownInternals } from './unknown-internals.ts';

const ODD = {
  code: grpc.status.INVALID_ARGUMENT,
  details: 'the prefix of a message has unknown or unexpected flags',
};
const COMPRESSED = 1;

/**
 * Refuses messages whose prefix has flags that the protocol does not know, and those marked as
 * compressed in a call that does not say how. grpc-js reads them as if they had no flags.
 */
export function refuseOddPrefixes(rpc: InnermostCall, unknown: UnknownInternals): void {
  const isChecked = checkMessages(rpc, (message, encoding) => {
    const flags = message[0] ?? 0;
    const isOdd = flags > COMPRESSED || (flags === COMPRESSED && encoding === 'identity');
    return isOdd ? ODD : undefined;
  });
  if (!isChecked) unknown.add('messages');
}
