import { status } from '@grpc/grpc-js';
import type { Overdue } from '../overdue.ts';
import type { MessageDecoder } from './message-decoder.ts';
import type { InnermostCall } from './node-internals.ts';

const CUT_OFF = { code: status.INVALID_ARGUMENT, details: 'the message is cut off' };

/**
 * Limits how long a caller who opens a call and then sends nothing holds a stream: as long as
 * `incomplete` allows, unless the method takes a stream of messages. Also, node:http2 ends a request
 * that its caller cancels like a complete one; here it does not count as ended.
 */
export function guardRequest(
  rpc: InnermostCall,
  decoder: MessageDecoder,
  incomplete: Overdue<InnermostCall>,
  mayStream: boolean,
): void {
  const place = mayStream ? undefined : incomplete.add(rpc);
  const complete = () => place && incomplete.remove(place);
  const start = rpc.start;
  rpc.start = (listener) => {
    const { onReceiveHalfClose, onCancel } = listener;
    listener.onReceiveHalfClose = () => {
      complete();
      if (rpc.stream.aborted) return;
      // grpc-js also ends messages that are cut off like complete ones.
      if (decoder.isWithinMessage) rpc.sendStatus(CUT_OFF);
      else onReceiveHalfClose.call(listener);
    };
    listener.onCancel = () => {
      complete();
      onCancel.call(listener);
    };
    start.call(rpc, listener);
  };
}
