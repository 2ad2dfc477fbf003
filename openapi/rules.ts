import { type DescField, type DescOneof, getOption, toJson } from '@bufbuild/protobuf';
import {
  FieldRulesSchema,
  field as fieldRules,
  oneof as oneofRules,
} from '../gen/buf/validate/validate_pb.ts';

export type Schema = { [keyword: string]: unknown };

/** The rules of a field as JSON: `{"required": true, "string": {"max_len": "200"}}`. */
type Rules = { required?: boolean; [type: string]: unknown };

/** What one rule is, by its value. */
type Keywords = (value: unknown) => Schema;

const number =
  (keyword: string): Keywords =>
  (value) => ({ [keyword]: Number(value) });
const format = (name: string): Keywords => {
  return (value) => (value ? { format: name } : {});
};
const nothing: Keywords = () => ({});

/**
 * What rules are in JSON Schema, or in words where it has none. Characters are code points in both. A rule
 * that is not here ends the generation, so that none is left out silently.
 */
const KEYWORDS: Readonly<Record<string, Readonly<Record<string, Keywords>>>> = {
  string: {
    min_len: number('minLength'),
    max_len: number('maxLength'),
    max_bytes: (value) => ({
      maxLength: Number(value),
      description: `At most ${value} bytes of UTF-8.`,
    }),
    pattern: (value) => ({ pattern: value }),
    email: format('email'),
    uuid: format('uuid'),
  },
  int32: { gte: number('minimum'), lte: number('maximum') },
  repeated: {
    min_items: number('minItems'),
    max_items: number('maxItems'),
    unique: (value) => ({ uniqueItems: value }),
    items: (value) => ({ items: schemaOf(value as Rules) }),
  },
  enum: { defined_only: nothing },
  duration: {
    gte: (value) => ({ description: `At least ${value}.` }),
    lte: (value) => ({ description: `At most ${value}.` }),
  },
  // From 1970 to 9999, which is nearly all that the format has.
  timestamp: { gte: nothing, lte: nothing },
};

/** What the rules of a field are in JSON Schema. */
export function ruleSchema(desc: DescField): Schema {
  return schemaOf(rulesOf(desc));
}

/** Whether a field must be set, and not to its default value. */
export function isRequired(desc: DescField): boolean {
  return rulesOf(desc).required === true;
}

/** Whether one of its fields must be set. */
export function isRequiredOneof(desc: DescOneof): boolean {
  return getOption(desc, oneofRules).required;
}

function rulesOf(desc: DescField): Rules {
  const rules = getOption(desc, fieldRules);
  return toJson(FieldRulesSchema, rules, { useProtoFieldName: true }) as Rules;
}

function schemaOf({ required, ...types }: Rules): Schema {
  let schema: Schema = {};
  for (const [type, rules] of Object.entries(types)) {
    for (const [name, value] of Object.entries(rules as object)) {
      const keywords = KEYWORDS[type]?.[name];
      if (!keywords) throw new Error(`openapi/rules.ts does not know the rule ${type}.${name}`);
      schema = merged(schema, keywords(value));
    }
  }
  return schema;
}

/** Two schemas as one, with both descriptions. */
export function merged(first: Schema, second: Schema): Schema {
  const described = [first, second]
    .map(({ description }) => description)
    .filter((text) => text !== undefined && text !== '');
  const both = { ...first, ...second };
  return described.length > 0 ? { ...both, description: described.join(' ') } : both;
}
