import { defineEntity, p } from '@mikro-orm/core';

const MailBudgetSchema = defineEntity({
  name: 'MailBudget',
  tableName: 'mail_budgets',
  properties: {
    /** A keyed hash of the address in its canonical form. */
    recipient: p.uint8array().primary(),
    kind: p
      .enum(['address_taken', 'change_email', 'notice', 'reset_password', 'verify_email'])
      .primary(),
    /** When the whole budget is available again. */
    spentUntil: p.datetime().columnType('timestamptz').index('mail_budgets_spent_until'),
  },
});

/** How much of an address's budget for a kind of mail others have used (C16). */
export class MailBudget extends MailBudgetSchema.class {}
MailBudgetSchema.setClass(MailBudget);
