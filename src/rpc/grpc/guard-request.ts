import { status } from '@grpc/grpc-js';
import type { Overdue } from '../overdue.ts';
import type { MessageDecoder } from './message-decoder.ts';
import type { InnermostCall } from './node-internals.ts';

const CUT_OFF = { code: status.INVALID_ARGUMENT, details: 'the message is cut off' };

/**
 * A caller who opens a call and then sends nothing holds a stream: for as long as `incomplete` allows,
 * unless the method takes a stream of messages. And to node:http2, a request that its caller cancels
 * ends like a complete one: here it does not count as ended.
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
      // To grpc-js, messages that are cut off end like complete ones, too.
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
