import { type DescField, type DescOneof, ScalarType } from '@bufbuild/protobuf';
import { isRequired, isRequiredOneof, type Schema } from './rules.ts';

/** What `required` says about a value that is there. */
export function notDefault(desc: DescField): Schema {
  if (desc.fieldKind === 'list') return { minItems: 1 };
  if (desc.fieldKind === 'enum') return { not: { const: desc.enum.values[0]?.name } };
  if (desc.fieldKind !== 'scalar') return {};
  if (desc.scalar === ScalarType.STRING) return { minLength: 1 };
  return { not: { const: desc.scalar === ScalarType.BOOL ? false : 0 } };
}

/** Whether a request without the field is refused: its default value, which it then has, breaks a rule. */
export function isNeeded(desc: DescField | undefined, schema: Schema): boolean {
  if (!desc || desc.oneof) return false;
  if (isRequired(desc)) return true;
  const { pattern, minLength = 0, minItems = 0, minimum = 0, maximum = 0, format } = schema;
  if (desc.fieldKind === 'list') return Number(minItems) > 0;
  if (desc.fieldKind !== 'scalar') return false;
  if (desc.scalar === ScalarType.INT32) return Number(minimum) > 0 || Number(maximum) < 0;
  if (desc.scalar !== ScalarType.STRING) return false;
  const isFormat = format === 'uuid' || format === 'email';
  return isFormat || Number(minLength) > 0 || !new RegExp(String(pattern ?? '')).test('');
}

/** At most one of its fields may be there, or exactly one. */
export function oneofSchema(desc: DescOneof): Schema {
  const each = desc.fields.map(({ jsonName }) => ({ title: jsonName, required: [jsonName] }));
  if (isRequiredOneof(desc)) return { oneOf: each };
  const none = {
    title: 'none of them',
    not: { anyOf: each.map(({ required }) => ({ required })) },
  };
  return { oneOf: [...each, none] };
}
