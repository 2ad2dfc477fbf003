import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { createGrpcTransport } from '@connectrpc/connect-node';

const TIMEOUT_MS = 10_000;

/** A unary call that is repeated. */
export type Question<I extends DescMessage, O extends DescMessage> = {
  method: DescMethodUnary<I, O>;
  request: MessageInitShape<I>;
  headers?: Readonly<Record<string, string>>;
  /** Whether the answer is the one about a valid credential. */
  isRight(answer: MessageShape<O>): boolean;
};

/** `/countersign.v1.SessionService/IntrospectToken` */
export function pathOf({ parent, name }: DescMethodUnary): string {
  return `/${parent.typeName}/${name}`;
}

/** Returns the bytes of a question's message. */
export function questionBytes<I extends DescMessage, O extends DescMessage>({
  method: { input },
  request,
}: Question<I, O>): Uint8Array {
  return toBinary(input, create(input, request));
}

/** Asks once. Throws if the answer is not right. */
export async function ask<I extends DescMessage, O extends DescMessage>(
  address: string,
  { method, request, headers, isRight }: Question<I, O>,
): Promise<MessageShape<O>> {
  const transport = createGrpcTransport({ baseUrl: `http://${address}` });
  const answer = await transport.unary(method, undefined, TIMEOUT_MS, headers, request);
  if (!isRight(answer.message)) throw new Error(`${address} answers ${pathOf(method)} wrongly`);
  return answer.message;
}
