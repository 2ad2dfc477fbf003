import { EventEmitter } from 'node:events';

export type Order = { number: number; product: string; owner: string };

/** The orders, in memory. Who may call is decided before anything here runs. */
export class Orders {
  readonly products = ['tea', 'coffee'];
  /** Emits each order as it is placed. One listener for each open stream. */
  readonly placed = new EventEmitter<{ order: [Order] }>().setMaxListeners(0);
  #orders: Order[] = [];
  #count = 0;

  list(): Order[] {
    return this.#orders;
  }

  listOf(owner: string): Order[] {
    return this.#orders.filter((order) => order.owner === owner);
  }

  place(owner: string, product: string): Order {
    const order = { number: ++this.#count, product, owner };
    this.#orders.push(order);
    this.placed.emit('order', order);
    return order;
  }

  deleteAll(): void {
    this.#orders = [];
  }
}
