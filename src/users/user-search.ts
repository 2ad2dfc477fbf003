import { type EntityManager, query } from '../platform/sql.ts';
import { isAfter, ORDERS, type Order, orderedBy, type Place } from './user-order.ts';

/** How many rows a page may look at, which bounds its time, whatever is searched for. */
const WINDOW = 5000;
/** If the planner expects no more matches than this, all are looked up and then sorted. */
const FEW = 2000;
/** The cost that this may have, in the planner's units: a third of a scan of 200,000 rows. */
const MAX_COST = 5000;

export type Filter = { query: string; state: 'active' | 'suspended' | undefined; role: string };

/** Which users of those that match: the first `limit` of an order after a place. */
type PageOfUsers = { order: Order; after: Place | undefined; limit: number };

type Found = {
  ids: string[];
  /** Where the next page continues; undefined if there is none. */
  next: Place | undefined;
};

type Condition = { sql: string; parameters: unknown[]; isFilter: boolean };

/**
 * Finds the ids of users that match a filter. It looks at a bounded number of rows: if few match, by
 * the planner's estimate, at those alone; otherwise at the next rows in the order. Then it may find
 * fewer than `limit` and still return where to continue.
 */
export async function searchUsers(
  em: EntityManager,
  filter: Filter,
  page: PageOfUsers,
): Promise<Found> {
  const condition = conditionOf(filter);
  if (condition.isFilter && (await areFew(em, condition))) {
    const found = await lookUp(em, condition, page);
    if (found) return found;
  }
  return walk(em, condition, page);
}

/** The condition that matching accounts meet. Its parameters are numbered from 1. */
function conditionOf({ query: text, state, role }: Filter): Condition {
  const parts = [state === undefined ? `state <> 'deleted'` : `state = '${state}'`];
  const parameters: unknown[] = [];
  if (role !== '') {
    parameters.push([role]);
    parts.push(`roles @> $${parameters.length}::text[]`);
  }
  if (text !== '') {
    parameters.push(pattern(text));
    const like = `like lower($${parameters.length}::text)`;
    parts.push(`(canonical_email ${like} or lower(display_name) ${like})`);
  }
  const isFilter = state !== undefined || parameters.length > 0;
  return { sql: parts.join(' and '), parameters, isFilter };
}

/** Matches every character literally. A trigram index finds texts of under three only as prefixes. */
function pattern(text: string): string {
  const literal = text.replace(/[\\%_]/g, '\\$&');
  return [...text].length < 3 ? `${literal}%` : `%${literal}%`;
}

type Plan = { 'Plan Rows': number; 'Total Cost': number };

/** Whether the planner expects few matches at a low cost. Asking it takes next to no time. */
async function areFew(em: EntityManager, { sql, parameters }: Condition): Promise<boolean> {
  const [row] = await query<{ 'QUERY PLAN': string | [{ Plan: Plan }] }>(
    em,
    `explain (format json) select id from accounts where ${sql}`,
    parameters,
  );
  const answer = row?.['QUERY PLAN'];
  const [explained] = typeof answer === 'string' ? JSON.parse(answer) : (answer ?? []);
  const plan: Plan | undefined = explained?.Plan;
  return plan !== undefined && plan['Plan Rows'] <= FEW && plan['Total Cost'] <= MAX_COST;
}

/** Finds all that match and sorts them. Returns undefined if they turn out to be too many. */
async function lookUp(
  em: EntityManager,
  condition: Condition,
  page: PageOfUsers,
): Promise<Found | undefined> {
  const { order, limit } = page;
  const parameters = [...condition.parameters];
  const { place } = ORDERS[order.by];
  const rows = await query<Place & { matching: number }>(
    em,
    `with matching as materialized (
       select id, ${place} as placed from accounts where ${condition.sql} limit ${FEW + 1}
     )
     select id, placed::text as place, (select count(*)::int from matching) as matching
     from matching where ${isAfter('placed', page, parameters)}
     order by ${orderedBy('placed', order)} limit ${limit + 1}`,
    parameters,
  );
  if ((rows[0]?.matching ?? 0) > FEW) return undefined;
  const ids = rows.slice(0, limit).map(({ id }) => id);
  return { ids, next: rows.length > limit ? rows[limit - 1] : undefined };
}

/** Finds those that match among the next rows in the order. */
async function walk(em: EntityManager, condition: Condition, page: PageOfUsers): Promise<Found> {
  const { order, limit } = page;
  const parameters = [...condition.parameters];
  const { place } = ORDERS[order.by];
  const window = condition.isFilter ? WINDOW : limit + 1;
  const rows = await query<Place & { number: number; matches: boolean }>(
    em,
    `select id, placed::text as place, number::int as number, matches
     from (
       select *, row_number() over (order by ${orderedBy('placed', order)}) as number
       from (
         select id, ${place} as placed, (${condition.sql}) as matches
         from accounts
         where state <> 'deleted' and ${isAfter(place, page, parameters)}
         order by ${orderedBy(place, order)} limit ${window}
       ) next
     ) numbered
     where matches or number = ${window}
     order by ${orderedBy('numbered.placed', order)} limit ${limit + 1}`,
    parameters,
  );
  const matching = rows.filter(({ matches }) => matches);
  if (matching.length > limit) {
    return { ids: idsOf(matching.slice(0, limit)), next: matching[limit - 1] };
  }
  const last = rows.at(-1);
  // If the window is full, there may be more rows behind it.
  return { ids: idsOf(matching), next: last?.number === window ? last : undefined };
}

const idsOf = (rows: readonly Place[]) => rows.map(({ id }) => id);
