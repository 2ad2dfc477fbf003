import type { DescMethod } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt';
import { accessOf } from './access.ts';
import { asInJson, beginning, type Contract } from './contract.ts';
import { type Errors, OTHER_ERRORS } from './errors.ts';
import { exampleOf } from './examples.ts';
import type { Schema } from './rules.ts';
import type { Schemas } from './schemas.ts';

const STREAM_NOTE =
  "A stream, in Connect's envelope: each message, of the request too, is a byte of flags, its length in four bytes (big-endian) and the message in JSON. The last one has the flag 2 and is `{}` or has the `error`. The status is 200 in either case. Use a client of Connect, gRPC-Web or gRPC.";
const BOTH_WAYS_NOTE = 'Messages go both ways at once, so it takes HTTP/2.';
const GET_NOTE =
  'It changes nothing, so it may be called by `GET` too, as Connect says: `?encoding=json&message=…`.';

type Parts = { contract: Contract; schemas: Schemas; errors: Errors };

/** All methods, by their paths. */
export function methodPaths(parts: Parts): Record<string, Schema> {
  const methods = parts.contract.services.flatMap((service) => service.methods);
  return Object.fromEntries(
    methods.map((method) => [
      `/${method.parent.typeName}/${method.name}`,
      { post: operation(parts, method) },
    ]),
  );
}

function operation({ contract, schemas, errors }: Parts, method: DescMethod): Schema {
  const { input, output, parent, name, methodKind, idempotency } = method;
  const { prose: rule, security, reasons, ofCredential } = accessOf(contract, method);
  const isStream = methodKind !== 'unary';
  const prose = asInJson(contract.prose(method), input, output);
  const notes = [
    ...(isStream ? [STREAM_NOTE] : []),
    ...(methodKind === 'bidi_streaming' ? [BOTH_WAYS_NOTE] : []),
    ...(idempotency === Idempotency.NO_SIDE_EFFECTS && !isStream ? [GET_NOTE] : []),
  ];
  const type = isStream ? 'application/connect+json' : 'application/json';
  const request = schemas.of(input);
  const answer = { [type]: { schema: schemas.of(output) } };
  const ofRules = [...(input.fields.length > 0 ? ['INVALID_REQUEST'] : []), ...reasons];
  const own = [...ofRules.map((name) => ({ name })), ...errors.named(prose)];
  const refused = errors.responses(own, ofCredential);
  return {
    operationId: `${parent.name}_${name}`,
    tags: [parent.name],
    summary: beginning(prose),
    description: [prose, rule.join(' '), ...notes].join('\n\n'),
    security,
    requestBody: {
      required: true,
      content: { [type]: { schema: request, example: exampleOf(input.name, schemas.all) } },
    },
    responses: {
      '200': { description: asInJson(contract.prose(output), output), content: answer },
      ...(isStream ? {} : { ...refused, default: OTHER_ERRORS }),
    },
    ...(method.deprecated && { deprecated: true }),
  };
}
