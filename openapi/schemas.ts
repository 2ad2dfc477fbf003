import {
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  ScalarType,
} from '@bufbuild/protobuf';
import { FieldBehavior, field_behavior } from '../gen/google/api/field_behavior_pb.ts';
import { asInJson, type Contract, PACKAGE } from './contract.ts';
import { isNeeded, notDefault, oneofSchema } from './presence.ts';
import { isRequired, merged, ruleSchema, type Schema } from './rules.ts';

const SCALARS: Readonly<Partial<Record<ScalarType, Schema>>> = {
  [ScalarType.STRING]: { type: 'string' },
  [ScalarType.BOOL]: { type: 'boolean' },
  [ScalarType.INT32]: { type: 'integer', format: 'int32' },
  // JSON's numbers are exact up to 2^53 only.
  [ScalarType.INT64]: { type: 'string', format: 'int64', pattern: '^-?[0-9]+$' },
  [ScalarType.BYTES]: { type: 'string', contentEncoding: 'base64' },
};

/** Messages that JSON has a form of its own for (ProtoJSON). */
const WELL_KNOWN: Readonly<Record<string, Schema>> = {
  'google.protobuf.Timestamp': { type: 'string', format: 'date-time' },
  'google.protobuf.Duration': { type: 'string', pattern: '^-?[0-9]+(\\.[0-9]{1,9})?s$' },
  'google.protobuf.FieldMask': {
    type: 'string',
    description: 'Names of fields as JSON has them, by comma.',
  },
  'google.protobuf.Struct': { type: 'object' },
};

/** The schemas of messages and enums, by the names that references have. */
export class Schemas {
  readonly #contract: Contract;
  readonly #answered: ReadonlySet<DescMessage>;
  readonly #schemas = new Map<string, Schema>();

  constructor(contract: Contract) {
    this.#contract = contract;
    const methods = contract.services.flatMap((service) => service.methods);
    this.#answered = within(methods.map(({ output }) => output));
  }

  get all(): Record<string, Schema> {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Refers to the schema of a message, and makes it unless it is there. */
  of(desc: DescMessage | DescEnum): Schema {
    const known = WELL_KNOWN[desc.typeName];
    if (known) return known;
    const name = desc.typeName.replace(`${PACKAGE}.`, '');
    if (!this.#schemas.has(name)) {
      // Known from here on: a message may hold itself.
      this.#schemas.set(name, {});
      this.#schemas.set(name, desc.kind === 'enum' ? this.#enum(desc) : this.#message(desc));
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  #enum(desc: DescEnum): Schema {
    const values = desc.values.map(
      (value) => `- \`${value.name}\`: ${this.#contract.prose(value)}`,
    );
    return {
      type: 'string',
      description: `${this.#contract.prose(desc)}\n\n${values.join('\n')}`,
      enum: desc.values.map(({ name }) => name),
    };
  }

  #message(desc: DescMessage): Schema {
    const properties = desc.fields.map((field) => [field.jsonName, this.#field(field)] as const);
    const required = properties
      .filter(([, schema], at) => isNeeded(desc.fields[at], schema))
      .map(([name]) => name);
    const choices = desc.oneofs.map(oneofSchema);
    return {
      type: 'object',
      description: asInJson(this.#contract.prose(desc), desc),
      properties: Object.fromEntries(properties),
      ...(required.length > 0 && { required }),
      // Answers may have fields that are not known yet; requests may not.
      ...(!this.#answered.has(desc) && { additionalProperties: false }),
      ...(choices.length === 1 ? choices[0] : choices.length > 1 && { allOf: choices }),
    };
  }

  #field(desc: DescField): Schema {
    const description = asInJson(this.#contract.prose(desc), desc.parent);
    const isSecret = desc.proto.options?.debugRedact === true;
    const isOutput = getOption(desc, field_behavior).includes(FieldBehavior.OUTPUT_ONLY);
    let schema = merged({ description }, this.#type(desc));
    schema = mergedItems(schema, ruleSchema(desc));
    if (isRequired(desc)) schema = { ...notDefault(desc), ...schema };
    return {
      ...schema,
      ...(isSecret && schema['type'] === 'string' && { format: 'password' }),
      ...(isSecret && !this.#answered.has(desc.parent) && { writeOnly: true }),
      ...(isOutput && { readOnly: true }),
      ...(desc.deprecated && { deprecated: true }),
    };
  }

  #type(desc: DescField): Schema {
    switch (desc.fieldKind) {
      case 'scalar':
        return scalar(desc.scalar);
      case 'enum':
        return this.of(desc.enum);
      case 'message':
        return this.of(desc.message);
      case 'list':
        return { type: 'array', items: this.#element(desc) };
      case 'map':
        return { type: 'object', additionalProperties: this.#element(desc) };
    }
  }

  #element(desc: DescField & { fieldKind: 'list' | 'map' }): Schema {
    if (desc.scalar !== undefined) return scalar(desc.scalar);
    return this.of(desc.message ?? (desc.enum as DescEnum));
  }
}

function scalar(type: ScalarType): Schema {
  const schema = SCALARS[type];
  if (!schema) throw new Error(`openapi/schemas.ts does not know the type ${ScalarType[type]}`);
  return schema;
}

/** A type and its rules; those of a list's elements go to the elements. */
function mergedItems(type: Schema, rules: Schema): Schema {
  const both = merged(type, rules);
  const [items, ofItems] = [
    type['items'] as Schema | undefined,
    rules['items'] as Schema | undefined,
  ];
  return items && ofItems ? { ...both, items: merged(items, ofItems) } : both;
}

/** Messages, and all that they hold. */
function within(
  messages: readonly DescMessage[],
  found = new Set<DescMessage>(),
): Set<DescMessage> {
  for (const message of messages) {
    if (found.has(message)) continue;
    found.add(message);
    const held = message.fields.map((field) => ('message' in field ? field.message : undefined));
    within(
      held.filter((each) => each !== undefined),
      found,
    );
  }
  return found;
}
