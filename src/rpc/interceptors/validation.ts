import type { DescMessage, Message } from '@bufbuild/protobuf';
import { createValidator, type Violation } from '@bufbuild/protovalidate';
import type { Interceptor } from '@connectrpc/connect';
import { Failure } from '../../platform/failure.ts';
import { tap } from './tap.ts';

const validator = createValidator();

/** Holds every request message to the `buf.validate` rules of its fields. */
export const validation: Interceptor = (next) => (req) => {
  if (!req.stream) {
    validate(req.method.input, req.message);
    return next(req);
  }
  const message = tap(req.message, (each) => validate(req.method.input, each));
  return next({ ...req, message });
};

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

/** A field's place as people write it: `requests[0].token`. */
function path(violation: Violation): string {
  let text = '';
  for (const segment of violation.field) {
    if (segment.kind === 'field') text += `${text === '' ? '' : '.'}${segment.name}`;
    else if (segment.kind === 'list_sub') text += `[${segment.index}]`;
    else if (segment.kind === 'oneof') text += `${text === '' ? '' : '.'}${segment.name}`;
  }
  return text;
}
