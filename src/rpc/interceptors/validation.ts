import type { DescMessage, Message } from '@bufbuild/protobuf';
import { createValidator, type Violation } from '@bufbuild/protovalidate';
import type { Interceptor } from '@connectrpc/connect';
import { Failure } from '../../platform/failure.ts';

const validator = createValidator();

/** Checks every request message against the `buf.validate` rules of its fields. */
export const validation: Interceptor = (next) => (req) => {
  if (!req.stream) {
    validate(req.method.input, req.message);
    return next(req);
  }
  return next({ ...req, message: validated(req.method.input, req.message) });
};

async function* validated<T extends Message>(schema: DescMessage, messages: AsyncIterable<T>) {
  for await (const message of messages) {
    validate(schema, message);
    yield message;
  }
}

function validate(schema: DescMessage, message: Message): void {
  const result = validator.validate(schema, message);
  if (result.kind === 'valid') return;
  if (result.kind === 'error') throw result.error;
  const fields = result.violations.map((violation) => ({
    path: path(violation),
    description: violation.message,
  }));
  const [first] = fields;
  const text = `the request is not valid: ${first?.path} ${first?.description}`;
  throw new Failure('invalid', 'INVALID_REQUEST', text, { fields });
}

/** A field's path as people write it: `requests[0].token`. */
function path(violation: Violation): string {
  let text = '';
  for (const segment of violation.field) {
    if (segment.kind === 'field') text += `${text === '' ? '' : '.'}${segment.name}`;
    else if (segment.kind === 'list_sub') text += `[${segment.index}]`;
    else if (segment.kind === 'oneof') text += `${text === '' ? '' : '.'}${segment.name}`;
  }
  return text;
}
