import { type EntityManager, query } from '../platform/sql.ts';

/** How many rows a page may look at, and so how long it may take, whatever is asked for. */
const WINDOW = 5000;
/** Up to so many that match are looked up and then sorted, where the planner expects no more. */
const FEW = 2000;
/** What that may cost, in the planner's measure: a third of reading 200,000 rows from end to end. */
const MAX_COST = 5000;

/** The orders that there are, each with its index: what a row is placed by, and how that is compared. */
export const ORDERS = {
  created_at: { place: 'created_at', type: 'timestamptz' },
  email: { place: 'canonical_email', type: 'text' },
  last_login_at: {
    place: `coalesce(last_login_at, '-infinity'::timestamptz)`,
    type: 'timestamptz',
  },
} as const;

export type Order = { by: keyof typeof ORDERS; descending: boolean };

export type Filter = { query: string; state: 'active' | 'suspended' | undefined; role: string };

/** Where a row stands in an order; ids decide between equals. */
export type Place = { place: string; id: string };

export type Found = {
  ids: string[];
  /** Where the next page goes on. Undefined: there is no more. */
  next: Place | undefined;
};

type Condition = { sql: string; parameters: unknown[]; isFilter: boolean };

/**
 * The ids of users that a filter leaves, in an order, after a place. It looks at a bounded number of
 * rows: where few match, by the planner's estimate, at those alone; otherwise at the next in the order,
 * and then it may find fewer than `limit`, and say where to go on.
 */
export async function searchUsers(
  em: EntityManager,
  filter: Filter,
  order: Order,
  after: Place | undefined,
  limit: number,
): Promise<Found> {
  const condition = conditionOf(filter);
  if (condition.isFilter && (await areFew(em, condition))) {
    const found = await lookUp(em, condition, order, after, limit);
    if (found) return found;
  }
  return walk(em, condition, order, after, limit);
}

/** What an account has to be. Parameters are numbered from 1. */
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

/** Every character stands for itself. An index of three letters at a time knows shorter beginnings. */
function pattern(text: string): string {
  const literal = text.replace(/[\\%_]/g, '\\$&');
  return [...text].length < 3 ? `${literal}%` : `%${literal}%`;
}

type Plan = { 'Plan Rows': number; 'Total Cost': number };

/** Whether the planner expects few rows, and a short way to them. It takes no time to ask. */
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

/** All that match, sorted; or nothing, where they turn out to be too many. */
async function lookUp(
  em: EntityManager,
  condition: Condition,
  order: Order,
  after: Place | undefined,
  limit: number,
): Promise<Found | undefined> {
  const parameters = [...condition.parameters];
  const { place } = ORDERS[order.by];
  const rows = await query<Place & { matching: number }>(
    em,
    `with matching as materialized (
       select id, ${place} as placed from accounts where ${condition.sql} limit ${FEW + 1}
     )
     select id, placed::text as place, (select count(*)::int from matching) as matching
     from matching ${afterPlace('placed', order, after, parameters)}
     order by ${sorted('placed', order)} limit ${limit + 1}`,
    parameters,
  );
  if ((rows[0]?.matching ?? 0) > FEW) return undefined;
  const ids = rows.slice(0, limit).map(({ id }) => id);
  return { ids, next: rows.length > limit ? rows[limit - 1] : undefined };
}

/** Those that match among the next in the order. */
async function walk(
  em: EntityManager,
  condition: Condition,
  order: Order,
  after: Place | undefined,
  limit: number,
): Promise<Found> {
  const parameters = [...condition.parameters];
  const { place } = ORDERS[order.by];
  const window = condition.isFilter ? WINDOW : limit + 1;
  const rows = await query<Place & { number: number; matches: boolean }>(
    em,
    `select id, placed::text as place, number::int as number, matches
     from (
       select *, row_number() over (order by ${sorted('placed', order)}) as number
       from (
         select id, ${place} as placed, (${condition.sql}) as matches
         from accounts
         where state <> 'deleted' ${afterPlace(place, order, after, parameters, 'and')}
         order by ${sorted(place, order)} limit ${window}
       ) next
     ) numbered
     where matches or number = ${window}
     order by ${sorted('numbered.placed', order)} limit ${limit + 1}`,
    parameters,
  );
  const matching = rows.filter(({ matches }) => matches);
  if (matching.length > limit) {
    return { ids: idsOf(matching.slice(0, limit)), next: matching[limit - 1] };
  }
  const last = rows.at(-1);
  // The window was full: there may be more behind it.
  return { ids: idsOf(matching), next: last?.number === window ? last : undefined };
}

const idsOf = (rows: readonly Place[]) => rows.map(({ id }) => id);

function sorted(place: string, { descending }: Order): string {
  const direction = descending ? 'desc' : 'asc';
  return `${place} ${direction}, id ${direction}`;
}

/** The condition for standing after a place, whose values it adds to the parameters. */
function afterPlace(
  place: string,
  { by, descending }: Order,
  after: Place | undefined,
  parameters: unknown[],
  joined = 'where',
): string {
  if (!after) return '';
  parameters.push(after.place, after.id);
  const at = parameters.length;
  const { type } = ORDERS[by];
  return `${joined} (${place}, id) ${descending ? '<' : '>'} ($${at - 1}::${type}, $${at}::uuid)`;
}
