import { type Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.ts';

export type Refusal = {
  code: Code;
  reason: string | undefined;
  requestId: string | undefined;
  fields: string[];
  retryAfterMs: number | undefined;
  message: string;
  metadata: Record<string, string>;
};

/** The error that a call ends with, in parts. Fails if the call succeeds. */
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => undefined,
    (thrown) => ConnectError.from(thrown),
  );
  if (!error) throw new Error('the call was not refused');
  const info = error.findDetails(ErrorInfoSchema)[0];
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: error.code,
    reason: info?.reason,
    requestId: error.findDetails(RequestInfoSchema)[0]?.requestId,
    fields: error
      .findDetails(BadRequestSchema)
      .flatMap((d) => d.fieldViolations.map((v) => v.field)),
    retryAfterMs: retry && Number(retry.seconds) * 1000 + retry.nanos / 1e6,
    message: error.rawMessage,
    metadata: info?.metadata ?? {},
  };
}
