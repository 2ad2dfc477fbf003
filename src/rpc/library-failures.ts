import { Code, type ConnectError } from '@connectrpc/connect';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import {
  callerGone,
  deadlineExceeded,
  requestTooLarge,
  shuttingDown,
  unknownCompression,
  unknownMethod,
  unreadableRequest,
} from './failures.ts';

/** How Connect and grpc-js word that they can't read a request. Their codes say something else. */
const UNREADABLE =
  /^(parse binary|cannot decode|protocol error)|decompress|deserializing|(no|a second) request message/;
const COMPRESSION = /^unknown compression|unsupported encoding/;

/** An error that Connect or grpc-js made itself, without one of our reasons. */
export function libraryFailure(error: ConnectError): Failure {
  const { code, rawMessage } = error;
  if (code === Code.ResourceExhausted) return requestTooLarge();
  if (code === Code.InvalidArgument || UNREADABLE.test(rawMessage)) return unreadable(error);
  switch (code) {
    case Code.Unimplemented:
      return COMPRESSION.test(rawMessage) ? unknownCompression() : unknownMethod();
    case Code.DeadlineExceeded:
      return deadlineExceeded();
    case Code.Canceled:
    case Code.Aborted:
      return callerGone();
    case Code.Unavailable:
      return shuttingDown();
    default:
      return new Failure('internal', 'INTERNAL', 'internal error', {}, error);
  }
}

/** Names the field of a JSON request that Connect could not read, if it says which. */
function unreadable({ rawMessage }: ConnectError): Failure {
  const unknown = /from JSON: key "([\w.-]{1,100})" is unknown/.exec(rawMessage)?.[1];
  const wrong = /cannot decode field [\w.]*\.(\w+) from JSON/.exec(rawMessage)?.[1];
  const field = unknown ?? wrong;
  if (field === undefined) return unreadableRequest();
  return invalidField(
    field,
    unknown === undefined ? 'has a value of the wrong type' : 'is unknown',
  );
}
