import type {
  DescMethodUnary,
  JsonReadOptions,
  JsonWriteOptions,
  Message,
} from '@bufbuild/protobuf';
import { answerBytes, answerJson } from '../messages/kept-answer.ts';
import { parseJson } from '../messages/parse-json.ts';
import { parseRequest } from '../messages/parse-request.ts';

export type JsonOptions = Partial<JsonReadOptions & JsonWriteOptions>;

/** How the messages of a call are written. */
export type Format = {
  /** The content type of its answers. */
  readonly type: string;
  read(method: DescMethodUnary, bytes: Buffer): Message;
  write(method: DescMethodUnary, message: Message): Buffer | string;
};

const BINARY: Format = {
  type: 'application/proto',
  read: ({ input }, bytes) => parseRequest(input, bytes),
  write: ({ output }, message) => answerBytes(output, message),
};

/** The formats of plain unary calls by their content types. */
export function formats(options: JsonOptions): ReadonlyMap<string | undefined, Format> {
  const json: Format = {
    type: 'application/json',
    read: ({ input }, bytes) => parseJson(input, bytes, options),
    write: ({ output }, message) => answerJson(output, message, options),
  };
  return new Map([
    ['application/json', json],
    ['application/json; charset=utf-8', json],
    ['application/json;charset=utf-8', json],
    ['application/proto', BINARY],
  ]);
}
