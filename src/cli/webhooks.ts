import { parseArgs } from 'node:util';
import { EVENT_TYPES, type EventType, eventTypesPage } from '../webhooks/event-types.ts';
import { EXIT, type Io, print } from './io.ts';
import { onDatabase, printAnswer } from './on-database.ts';
import {
  create,
  deliveries,
  type Given,
  list,
  redeliver,
  remove,
  rotate,
  test,
  update,
  type WebhookCommand,
} from './webhook-commands.ts';

export const WEBHOOKS_USAGE = `  webhooks  look after webhooks, in the database that the service uses
              create --name TEXT --url URL --event TYPE…
                        make one; its secret is printed this once
              update WEBHOOK_ID [--name TEXT] [--url URL] [--event TYPE]…
                     [--state enabled|paused|disabled]
              list
              rotate WEBHOOK_ID                 a new secret; the previous one signs for a day
              delete WEBHOOK_ID
              deliveries WEBHOOK_ID [--state pending|succeeded|failed]
                        the hundred of the newest events
              redeliver WEBHOOK_ID DELIVERY_ID  send one again
              redeliver WEBHOOK_ID --from TIME [--to TIME]
                        send all events of a time again
              test WEBHOOK_ID                   send a message
              types [--page]                    what can be subscribed to; as docs/event-types.md
`;

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

type Asked = { json: boolean; page: boolean; run: WebhookCommand | undefined; given: Given };

/** Looks after webhooks without asking the service, which may be down. Returns the exit code. */
export async function webhooksCommand(io: Io, args: readonly string[]): Promise<number> {
  const asked = parse(args);
  if (!asked) {
    return print(io.err, `Usage: countersign webhooks …\n\n${WEBHOOKS_USAGE}`, EXIT.usage);
  }
  const { run, given, json, page } = asked;
  if (!run) {
    const text = page ? eventTypesPage() : EVENT_TYPES.map(typeLine).join('');
    return printAnswer(io, { json: { eventTypes: EVENT_TYPES }, text }, json);
  }
  return onDatabase(io, async (on) => printAnswer(io, await run(on, given), json));
}

function typeLine({ name, description }: EventType): string {
  return `${name}  ${description}\n`;
}

type Option = 'name' | 'url' | 'event' | 'state' | 'from' | 'to';
type Form = {
  run?: WebhookCommand;
  /** What stands behind the name of the command: `?` may be left out. */
  ids?: readonly ('WEBHOOK_ID' | 'DELIVERY_ID?')[];
  must?: readonly Option[];
  may?: readonly Option[];
  states?: readonly string[];
};

const ONE = { ids: ['WEBHOOK_ID'] } as const;
const FORMS: Readonly<Record<string, Form>> = {
  create: { run: create, must: ['name', 'url', 'event'] },
  update: {
    ...ONE,
    run: update,
    may: ['name', 'url', 'event', 'state'],
    states: ['enabled', 'paused', 'disabled'],
  },
  list: { run: list },
  rotate: { ...ONE, run: rotate },
  delete: { ...ONE, run: remove },
  deliveries: {
    ...ONE,
    run: deliveries,
    may: ['state'],
    states: ['pending', 'succeeded', 'failed'],
  },
  redeliver: { run: redeliver, ids: ['WEBHOOK_ID', 'DELIVERY_ID?'], may: ['from', 'to'] },
  test: { ...ONE, run: test },
  types: {},
};

function parse(args: readonly string[]): Asked | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        page: { type: 'boolean', default: false },
        name: { type: 'string', default: '' },
        url: { type: 'string', default: '' },
        event: { type: 'string', multiple: true, default: [] },
        state: { type: 'string', default: '' },
        from: { type: 'string', default: '' },
        to: { type: 'string', default: '' },
      },
    });
    const { json, page, ...options } = values;
    const [action = '', ...ids] = positionals;
    const form = FORMS[action];
    if (!form || !isOfForm(form, ids, options) || (page && form.run)) return undefined;
    const [webhookId = '', deliveryId = ''] = ids;
    // One or the other says what to send again.
    if (action === 'redeliver' && (deliveryId === '') === (options.from === '')) return undefined;
    const [from, to] = [options.from, options.to].map(timeOf);
    return { json, page, run: form.run, given: { ...options, webhookId, deliveryId, from, to } };
  } catch {
    return undefined;
  }
}

function isOfForm(
  { ids = [], must = [], may = [], states = [] }: Form,
  given: readonly string[],
  options: Readonly<Record<Option, string | string[]>>,
): boolean {
  const isGiven = (name: Option) => options[name].length > 0;
  const names = Object.keys(options) as Option[];
  const needed = ids.filter((name) => !name.endsWith('?'));
  return (
    given.length >= needed.length &&
    given.length <= ids.length &&
    given.every((id) => UUID.test(id)) &&
    must.every(isGiven) &&
    names.filter(isGiven).every((name) => must.includes(name) || may.includes(name)) &&
    (!isGiven('state') || states.includes(String(options.state)))
  );
}

/** Throws for what is no time. */
function timeOf(text: string): Date | undefined {
  return text === '' ? undefined : new Date(new Date(text).toISOString());
}
