import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { WebhookFanOut } from './webhook-fan-out.entity.ts';

export class WebhookFanOutRepository extends Repository<WebhookFanOut> {
  /** The position up to which the chain has been handed on. */
  async position(): Promise<number> {
    return (await this.#position('')) ?? 0;
  }

  /** The same, locked until the transaction ends; undefined while another transaction has it locked. */
  lockPosition(): Promise<number | undefined> {
    return this.#position('for update skip locked');
  }

  async #position(lock: string): Promise<number | undefined> {
    const [row] = await this.query<{ position: string }>(
      `select position::text from webhook_fan_out where id = 1 ${lock}`,
    );
    return row && Number(row.position);
  }

  async moveTo(position: number): Promise<void> {
    await this.query('update webhook_fan_out set position = $1 where id = 1', [position]);
  }
}

/** How far the chain has been handed on, as a connection or a transaction sees it. */
export function webhookFanOutIn(em: EntityManager): WebhookFanOutRepository {
  return new WebhookFanOutRepository(em, WebhookFanOut);
}
