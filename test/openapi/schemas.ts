import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

type Operation = {
  operationId: string;
  security: Record<string, string[]>[];
  description: string;
  requestBody?: { content: Record<string, { schema: Schema; example?: unknown }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Schema }> }>;
};
type Schema = { $ref?: string; [keyword: string]: unknown };

export type Document = {
  openapi: string;
  paths: Record<string, { get?: Operation; post?: Operation }>;
  components: { schemas: Record<string, Schema> };
};

export function readDocument(): Document {
  return JSON.parse(readFileSync('gen/openapi.json', 'utf8'));
}

/** Judges values by the schemas of the document. */
export class SchemaJudge {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #known = new Map<string, ValidateFunction>();

  /** A service may say no more than the document does; a client must not insist on that. */
  constructor(document: Document) {
    const schemas = Object.entries(document.components.schemas).map(([name, schema]) => {
      const isClosed = 'properties' in schema && !('additionalProperties' in schema);
      return [name, isClosed ? { ...schema, additionalProperties: false } : schema] as const;
    });
    addFormats.default(this.#ajv);
    const closed = { components: { schemas: Object.fromEntries(schemas) } };
    this.#ajv.addSchema(closed, 'openapi');
  }

  /** What is wrong with a value; empty if nothing is. */
  problems(schema: Schema, value: unknown): string {
    const text = JSON.stringify(schema).replaceAll('"#/', '"openapi#/');
    const known = this.#known.get(text) ?? this.#ajv.compile(JSON.parse(text));
    this.#known.set(text, known);
    if (known(value)) return '';
    return `${this.#ajv.errorsText(known.errors)} in ${JSON.stringify(value).slice(0, 500)}`;
  }
}
