import { type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { file_countersign_v1_error_reason } from '../../../gen/countersign/v1/error_reason_pb.ts';
import { file_google_rpc_error_details } from '../../../gen/google/rpc/error_details_pb.ts';
import { file_health_v1_health } from '../../../gen/health/v1/health_pb.ts';

/** No service imports these; clients need them for health checks, and to show the details of errors. */
const FURTHER_FILES = [
  file_health_v1_health,
  file_countersign_v1_error_reason,
  file_google_rpc_error_details,
];

/** Server reflection about these files, and about all that they import. */
export function reflection(files: readonly DescFile[]): ReflectionService {
  const all = new Set<DescFile>();
  const add = (file: DescFile) => {
    for (const dependency of file.dependencies) add(dependency);
    all.add(file);
  };
  for (const file of [...files, ...FURTHER_FILES]) add(file);
  // The descriptors as they are: the loader would make others from its types, without their imports.
  const descriptors = {
    format: 'Protocol Buffer 3 DescriptorProto',
    fileDescriptorProtos: [...all].map((file) =>
      Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)),
    ),
  } as MessageTypeDefinition<object, object>;
  return new ReflectionService({ countersign: descriptors });
}
