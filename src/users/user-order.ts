/** The orders in which users are listed: what places a row, and its type. Each has an index. */
export const ORDERS = {
  created_at: { place: 'created_at', type: 'timestamptz' },
  email: { place: 'canonical_email', type: 'text' },
  last_login_at: {
    place: `coalesce(last_login_at, '-infinity'::timestamptz)`,
    type: 'timestamptz',
  },
} as const;

export type Order = { by: keyof typeof ORDERS; descending: boolean };

/** Where a row stands in an order; ids decide between equals. */
export type Place = { place: string; id: string };

/** The order-by list. `place` is the expression that places a row. */
export function orderedBy(place: string, { descending }: Order): string {
  const direction = descending ? 'desc' : 'asc';
  return `${place} ${direction}, id ${direction}`;
}

/** The condition for standing after a place. Adds the values of its parameters to `parameters`. */
export function isAfter(
  place: string,
  { order, after }: { order: Order; after: Place | undefined },
  parameters: unknown[],
): string {
  if (!after) return 'true';
  parameters.push(after.place, after.id);
  const at = parameters.length;
  const { type } = ORDERS[order.by];
  return `(${place}, id) ${order.descending ? '<' : '>'} ($${at - 1}::${type}, $${at}::uuid)`;
}
