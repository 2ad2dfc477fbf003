import { create, type DescFile, type DescMethod, toBinary } from '@bufbuild/protobuf';
import { Code, type HandlerContext } from '@connectrpc/connect';
import { file_countersign_v1_error_reason } from '../../../gen/countersign/v1/error_reason_pb.ts';
import { file_google_rpc_error_details } from '../../../gen/google/rpc/error_details_pb.ts';
import { file_grpc_health_v1_health } from '../../../gen/grpc/health/v1/health_pb.ts';
import * as v1 from '../../../gen/grpc/reflection/v1/reflection_pb.ts';
import * as v1alpha from '../../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { callOf } from '../call.ts';
import { keepBinary } from '../messages/kept-answer.ts';
import { type Service, service } from '../services/service.ts';
import { DescriptorIndex } from './descriptor-index.ts';
import { withFiles } from './encoded-answer.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { inTurn } from './requests-in-turn.ts';

/** No service imports these; clients need them for health checks, and to show the details of errors. */
const FURTHER_FILES = [
  file_grpc_health_v1_health,
  v1.file_grpc_reflection_v1_reflection,
  v1alpha.file_grpc_reflection_v1alpha_reflection,
  file_countersign_v1_error_reason,
  file_google_rpc_error_details,
];

/** Both versions of the protocol have the same messages. */
type Request = v1.ServerReflectionRequest | v1alpha.ServerReflectionRequest;

/**
 * Server reflection about these files, and about all that they import. Anyone may ask.
 * https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 */
export function reflection(files: readonly DescFile[]): Service[] {
  const index = new DescriptorIndex([...files, ...FURTHER_FILES]);
  async function* answers<R extends Request>(requests: AsyncIterable<R>, context: HandlerContext) {
    const { hold } = callOf(context.values);
    for await (const request of inTurn(requests, context)) {
      const { host: validHost, messageRequest } = request;
      const rest = { validHost, originalRequest: request };
      // Answers are long: where one is not taken, the others wait before they are made (W15).
      const finish = await oneAtATime(hold?.connection ?? context, context.signal);
      if (!finish) return;
      try {
        yield withBinary(context.method, rest, answer(index, messageRequest));
      } finally {
        finish();
      }
    }
  }
  return [
    service(v1.ServerReflection, { serverReflectionInfo: answers }),
    service(v1alpha.ServerReflection, { serverReflectionInfo: answers }),
  ];
}

/** An answer which has its binary form already if it is long. */
function withBinary<Rest extends Record<string, unknown>>(
  { output }: DescMethod,
  rest: Rest,
  messageResponse: ReturnType<typeof answer>,
) {
  const whole = { ...rest, messageResponse };
  if (messageResponse.case !== 'fileDescriptorResponse') return whole;
  const message = create(output, whole);
  const { fileDescriptorProto } = messageResponse.value;
  keepBinary(message, withFiles(toBinary(output, create(output, rest)), fileDescriptorProto));
  return message as typeof message & typeof whole;
}

function answer(index: DescriptorIndex, { case: asked, value }: Request['messageRequest']) {
  switch (asked) {
    case 'listServices': {
      const named = index.services.map((name) => ({ name }));
      return { case: 'listServicesResponse', value: { service: named } } as const;
    }
    case 'fileByFilename':
      return filesOr(index.byName(value), 'there is no file of this name');
    case 'fileContainingSymbol':
      return filesOr(index.bySymbol(value), 'no file declares this name');
    case 'fileContainingExtension':
      return filesOr(
        index.byExtension(value.containingType, value.extensionNumber),
        'there is no such extension',
      );
    case 'allExtensionNumbersOfType': {
      const extensionNumber = index.extensionNumbers(value);
      if (!extensionNumber) return failure(Code.NotFound, 'there is no message of this name');
      const numbers = { baseTypeName: value, extensionNumber };
      return { case: 'allExtensionNumbersResponse', value: numbers } as const;
    }
    default:
      return failure(Code.Unimplemented, 'this kind of request is not supported');
  }
}

function filesOr(fileDescriptorProto: Uint8Array[] | undefined, otherwise: string) {
  if (!fileDescriptorProto) return failure(Code.NotFound, otherwise);
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } } as const;
}

function failure(errorCode: Code, errorMessage: string) {
  return { case: 'errorResponse', value: { errorCode, errorMessage } } as const;
}
