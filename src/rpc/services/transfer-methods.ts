import { create } from '@bufbuild/protobuf';
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import {
  type AdminService,
  type ImportUsersRequest,
  type ImportUsersResponse,
  ImportUsersResponseSchema,
} from '../../../gen/countersign/v1/admin_service_pb.ts';
import { UserState } from '../../../gen/countersign/v1/user_pb.ts';
import {
  ImportConflict,
  type ImportOptions,
  ImportOutcome,
  type PortableUser,
  PortableUserSchema,
} from '../../../gen/countersign/v1/user_transfer_pb.ts';
import type { Failure } from '../../platform/failure.ts';
import { invalidField } from '../../platform/invalid-field.ts';
import { type ExportedUser, exportUsers } from '../../transfer/export-users.ts';
import {
  type Fault,
  type ImportSettings,
  type Incoming,
  invalid,
  type RowResult,
} from '../../transfer/import-row.ts';
import { importUsers } from '../../transfer/import-users.ts';
import { callerOf } from '../call.ts';
import { REASONS } from '../reasons.ts';
import type { Dependencies } from './dependencies.ts';
import { searchedState } from './user-methods.ts';

/** The methods of AdminService that move users between systems. */
export function transferMethods(
  deps: Dependencies,
): Pick<ServiceImpl<typeof AdminService>, 'importUsers' | 'exportUsers'> {
  return {
    async *importUsers(requests, context) {
      const { options, rows } = await opened(requests);
      const settings = importSettings(options);
      for await (const results of importUsers(deps, callerOf(context), rows, settings)) {
        for (const result of results) yield resultMessage(result, settings);
      }
    },

    async *exportUsers({ state, role }, context) {
      const settings = { state: searchedState(state), role, passwordHashes: false };
      for await (const users of exportUsers(deps, callerOf(context), settings)) {
        for (const user of users) yield { user: portableUser(user) };
      }
    },
  };
}

function importSettings(options: ImportOptions | undefined): ImportSettings {
  return {
    dryRun: options?.dryRun ?? false,
    update: options?.onConflict === ImportConflict.UPDATE,
  };
}

/** The options of a stream, if it begins with some, and its rows. */
async function opened(requests: AsyncIterable<ImportUsersRequest>) {
  const reading = requests[Symbol.asyncIterator]();
  const first = await reading.next();
  const { message } = first.value ?? {};
  if (message?.case === 'options') return { options: message.value, rows: rowsOf(reading) };
  return { options: undefined, rows: rowsOf(reading, first) };
}

async function* rowsOf(
  reading: AsyncIterator<ImportUsersRequest>,
  first?: IteratorResult<ImportUsersRequest>,
): AsyncGenerator<Incoming> {
  let next = first ?? (await reading.next());
  for (let place = 0; !next.done; place += 1) {
    const { message } = next.value;
    if (message.case !== 'user') throw optionsTooLate();
    yield { place, ...readRow(message.value) };
    next = await reading.next();
  }
}

function optionsTooLate(): Failure {
  return invalidField('options', 'must come once, before the first row');
}

type Read = { row: Extract<Incoming, { row: unknown }>['row'] } | { fault: Fault };

function readRow({ state, createdAt, ...row }: PortableUser): Read {
  if (state === UserState.DELETED)
    return { fault: invalid('state', 'is deleted; import only active and suspended users') };
  return {
    row: {
      ...row,
      state: searchedState(state),
      createdAt: createdAt && timestampDate(createdAt),
    },
  };
}

const OUTCOMES = {
  created: ImportOutcome.CREATED,
  updated: ImportOutcome.UPDATED,
  unchanged: ImportOutcome.UNCHANGED,
  refused: ImportOutcome.REFUSED,
} as const;

function resultMessage(
  result: RowResult,
  { dryRun }: Pick<ImportSettings, 'dryRun'>,
): ImportUsersResponse {
  const common = { index: BigInt(result.place), outcome: OUTCOMES[result.outcome] };
  if (result.outcome === 'refused') {
    const { reason, field, message: description } = result.fault;
    const refused = { ...common, reason: REASONS[reason], field, description };
    return create(ImportUsersResponseSchema, refused);
  }
  const userId = dryRun && result.outcome === 'created' ? '' : result.userId;
  return create(ImportUsersResponseSchema, { ...common, userId });
}

function portableUser({ state, createdAt, lastLoginAt, ...user }: ExportedUser): PortableUser {
  return create(PortableUserSchema, {
    ...user,
    state: state === 'active' ? UserState.ACTIVE : UserState.SUSPENDED,
    createdAt: timestampFromDate(createdAt),
    ...(lastLoginAt && { lastLoginAt: timestampFromDate(lastLoginAt) }),
  });
}
