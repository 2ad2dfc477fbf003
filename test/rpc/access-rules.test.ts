import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  ScalarType,
} from '@bufbuild/protobuf';
import { field as fieldRules } from '../../gen/buf/validate/validate_pb.ts';
import { RatePolicySchema } from '../../gen/countersign/v1/access_pb.ts';
import { ErrorReasonSchema } from '../../gen/countersign/v1/error_reason_pb.ts';
import { FieldBehavior, field_behavior } from '../../gen/google/api/field_behavior_pb.ts';
import { accessRule } from '../../src/rpc/interceptors/access.ts';
import { REASONS } from '../../src/rpc/reasons.ts';
import { everyMethod } from '../every-service.ts';

const methods = everyMethod();

/** A token that is introspected, or a secret, may be anything at all: what is not ours is inactive. */
const FREE = new Set([
  'countersign.v1.IntrospectTokenRequest.token',
  'countersign.v1.VerifyApiKeyRequest.secret',
  // A refusal of the call would be an error to the proxy (M02).
  'envoy.service.auth.v3.CheckRequest.attributes',
]);

function fieldsOf(message: DescMessage): DescField[] {
  return message.fields.flatMap((field) =>
    field.message?.typeName.startsWith('countersign.')
      ? [field, ...fieldsOf(field.message)]
      : [field],
  );
}

/** What a request may repeat of an answer, and is not read. */
const isOutput = (field: DescField) =>
  getOption(field, field_behavior).includes(FieldBehavior.OUTPUT_ONLY);

const name = (field: DescField) => `${field.parent.typeName}.${field.name}`;

describe('the proto', () => {
  it('says for every method who may call it', () => {
    const closed = methods.filter((method) => !accessRule(method)?.caller.case);
    assert.deepEqual(closed.map(String), []);
  });

  it('limits every method that needs no credential', () => {
    const unlimited = methods.filter((method) => {
      const rule = accessRule(method);
      return rule?.caller.case === 'public' && !rule.ratePolicy;
    });
    assert.deepEqual(unlimited.map(String), []);
  });

  it('C12 limits every method that takes a password as one that does', () => {
    const password = /(^|_)password$/;
    const policies = methods
      .filter(({ input }) => fieldsOf(input).some((field) => password.test(field.name)))
      .map((method) => [
        method.name,
        RatePolicySchema.value[accessRule(method)?.ratePolicy ?? 0]?.localName,
      ]);
    assert.deepEqual(Object.fromEntries(policies), {
      ChangePassword: 'CREDENTIALS',
      Login: 'CREDENTIALS',
      Reauthenticate: 'CREDENTIALS',
      ResetPassword: 'CREDENTIALS',
      // Fewer still: it sends a mail.
      SignUp: 'MAIL',
    });
  });

  it('has a rule for every field of every request', () => {
    const bare = methods
      .flatMap((method) => fieldsOf(method.input))
      .filter((field) => !isOutput(field) && field.scalar !== ScalarType.BOOL)
      .filter((field) => !hasOption(field, fieldRules) && !FREE.has(name(field)));
    assert.deepEqual(bare.map(name), []);
  });

  it('bounds the length of every text and list of every request', () => {
    const unbounded = methods
      .flatMap((method) => fieldsOf(method.input))
      .filter((field) => hasOption(field, fieldRules))
      .filter((field) => {
        const { type } = getOption(field, fieldRules);
        if (type.case === 'string') return !type.value.maxLen && !type.value.maxBytes;
        return type.case === 'repeated' && !type.value.maxItems;
      });
    assert.deepEqual(unbounded.map(name), []);
  });

  it('marks every secret, so that nothing prints it', () => {
    const secretive = /(^|_)(?<!page_)(token|password|secret|code)s?$/;
    const shown = methods
      .flatMap((method) => [...fieldsOf(method.input), ...fieldsOf(method.output)])
      .filter((field) => field.scalar !== undefined && secretive.test(field.name))
      .filter((field) => !field.proto.options?.debugRedact);
    assert.deepEqual(shown.map(name), []);
  });

  it('lists every reason that errors have, and no other', () => {
    const declared = ErrorReasonSchema.values
      .filter(({ number }) => number !== 0)
      .map(({ localName, number }) => [localName, number]);
    assert.deepEqual(Object.fromEntries(declared), REASONS);
  });
});
