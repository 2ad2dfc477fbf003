import { codeToString } from '@connectrpc/connect/protocol-connect';
import { CODES, type Errors } from './errors.ts';
import type { Schema } from './rules.ts';

/** The schemas of errors, as Connect writes them. */
export function errorSchemas({ all }: Pick<Errors, 'all'>): Record<string, Schema> {
  const codes = [...new Set(CODES.values())].map(codeToString);
  const reasons = all.map(({ name, prose }) => `- \`${name}\`: ${prose}`);
  return {
    Error: {
      type: 'object',
      description: 'Why a call failed.',
      required: ['code'],
      properties: {
        code: { type: 'string', description: 'The kind of failure.', enum: codes },
        message: { type: 'string', description: 'For people; it may change.' },
        details: { type: 'array', items: { $ref: '#/components/schemas/ErrorDetail' } },
      },
      examples: [EXAMPLE],
    },
    ErrorDetail: {
      type: 'object',
      description: 'A detail, as a protobuf message and as JSON.',
      required: ['type', 'value'],
      properties: {
        type: { type: 'string', description: 'The name of the message.' },
        value: { type: 'string', contentEncoding: 'base64', description: 'Its bytes.' },
        debug: { description: 'The same in JSON.' },
      },
      oneOf: [
        detail('google.rpc.ErrorInfo', 'ErrorInfo'),
        detail('google.rpc.RequestInfo', 'RequestInfo'),
        detail('google.rpc.BadRequest', 'BadRequest'),
        detail('google.rpc.RetryInfo', 'RetryInfo'),
      ],
    },
    ErrorInfo: {
      type: 'object',
      description: 'Every error has this detail.',
      required: ['reason', 'domain'],
      properties: {
        reason: {
          type: 'string',
          description: `Which failure it is, for programs. More may come.\n\n${reasons.join('\n')}`,
          examples: all.map(({ name }) => name),
        },
        domain: { type: 'string', const: 'countersign' },
        metadata: { type: 'object', additionalProperties: { type: 'string' } },
      },
    },
    RequestInfo: object('Every error has this detail.', {
      requestId: {
        type: 'string',
        description: "The call's id, under which the log has the cause.",
      },
    }),
    BadRequest: object('Comes with INVALID_REQUEST and PASSWORD_TOO_WEAK.', {
      fieldViolations: {
        type: 'array',
        items: object('A field that breaks its rules.', {
          field: { type: 'string', description: "Its path, by the proto's names." },
          description: { type: 'string', description: 'What is wrong with it.' },
        }),
      },
    }),
    RetryInfo: object('Comes if trying again helps.', {
      retryDelay: { type: 'string', description: 'When: `1.5s`.' },
    }),
  };
}

function object(description: string, properties: Record<string, Schema>): Schema {
  return { type: 'object', description, properties };
}

function detail(type: string, schema: string): Schema {
  return {
    title: schema,
    properties: { type: { const: type }, debug: { $ref: `#/components/schemas/${schema}` } },
  };
}

const EXAMPLE = {
  code: 'unauthenticated',
  message: 'the address or the password is wrong',
  details: [
    {
      type: 'google.rpc.ErrorInfo',
      value: 'ChNJTlZBTElEX0NSRURFTlRJQUxTEgtjb3VudGVyc2lnbg',
      debug: { reason: 'INVALID_CREDENTIALS', domain: 'countersign' },
    },
  ],
};
