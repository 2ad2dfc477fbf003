import { defineEntity, p } from '@mikro-orm/core';
import { ApiKey } from '../api-keys/api-key.entity.ts';

const ScopeUseRowSchema = defineEntity({
  name: 'ScopeUseRow',
  tableName: 'scope_uses',
  properties: {
    apiKey: () =>
      p
        .manyToOne(ApiKey)
        .mapToPk()
        .primary()
        .deleteRule('cascade')
        .updateRule('no action')
        .fieldName('api_key_id'),
    /** The name of a permission, whether or not there is one of that name. */
    scope: p.text().primary(),
    /** The days (UTC) of the last 30 on which a request needed the scope and the key had it. */
    usedOn: p.array().columnType('date[]'),
    /** The same of requests that needed it when the key did not have it. */
    missingOn: p.array().columnType('date[]'),
    /** The last of all these days. */
    notedOn: p.date().index('scope_uses_noted_on'),
  },
});

/** Says on which days an API key used a scope, or lacked it. */
export class ScopeUseRow extends ScopeUseRowSchema.class {}
ScopeUseRowSchema.setClass(ScopeUseRow);
