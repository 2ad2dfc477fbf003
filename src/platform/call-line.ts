import { isoTime } from './log-output.ts';

/** A call that was answered. Its texts need no escaping: ids, names of methods, addresses. */
export type AnsweredCall = {
  requestId: string;
  traceId: string | undefined;
  method: string;
  durationMs: number;
  principal: string | undefined;
  sessionId: string | undefined;
  /** Set instead of `sessionId` if the call came with an API key. */
  apiKeyId: string | undefined;
  address: string;
};

/**
 * Returns the log line of a call. It is put together here and not by pino: every call has one, and with
 * pino a token check takes a tenth longer.
 */
export function answeredLine(call: AnsweredCall): string {
  const trace = call.traceId === undefined ? '' : `,"trace_id":"${call.traceId}"`;
  const caller =
    call.principal === undefined ? '' : `,"principal":"${call.principal}",${credential(call)}`;
  return `{"level":"info"${isoTime()},"request_id":"${call.requestId}"${trace},"method":"${call.method}","code":"OK","duration_ms":${call.durationMs}${caller},"address":"${call.address}","msg":"call"}\n`;
}

function credential({ apiKeyId, sessionId }: AnsweredCall): string {
  return apiKeyId ? `"api_key_id":"${apiKeyId}"` : `"session_id":"${sessionId}"`;
}
