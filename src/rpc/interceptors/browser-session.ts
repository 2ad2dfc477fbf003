import { type DescMessage, isMessage, type Message } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Interceptor, StreamRequest, UnaryRequest, UnaryResponse } from '@connectrpc/connect';
import {
  LogoutRequestSchema,
  RefreshTokenRequestSchema,
} from '../../../gen/countersign/v1/auth_service_pb.ts';
import { type Tokens, TokensSchema } from '../../../gen/countersign/v1/tokens_pb.ts';
import type { Clock } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { invalidField } from '../../platform/invalid-field.ts';
import { callOf, SESSION_MODE } from '../call.ts';
import { cookieIn, forgottenCookie, sessionCookie } from '../session-cookie.ts';

type Request = UnaryRequest | StreamRequest;

/** From where browsers say that a request comes which carries `SameSite=Strict` cookies. */
const OWN_SITE: ReadonlySet<string | null> = new Set([null, 'same-origin', 'same-site']);

/**
 * Keeps the refresh tokens of pages in a cookie that no script can read, if the page asks for that by
 * `x-countersign-session: cookie` (W11). An answer's refresh token moves into the cookie; RefreshToken
 * and Logout read it there, and nothing else does.
 *
 * The header takes a preflight, which only `origins` pass, and it is not the only guard: whatever a
 * browser says of where the request comes from has to fit.
 */
export function browserSession({
  clock,
  origins,
}: {
  clock: Clock;
  origins: readonly string[];
}): Interceptor {
  const own = new Set(origins);
  return (next) => {
    const inMode = async (req: Request, mode: string) => {
      requireMode(mode, req, own);
      if (req.stream) return next(req);
      const isRead = readCookie(req);
      const res = await next(req);
      if (!res.stream) keepCookie(req, res, isRead, clock);
      return res;
    };
    return (req) => {
      const { sessionMode } = callOf(req.contextValues);
      return sessionMode === undefined ? next(req) : inMode(req, sessionMode);
    };
  };
}

/** Moves the refresh token of an answer into the cookie, or takes the cookie away after a sign-out. */
function keepCookie(
  { method }: UnaryRequest,
  { header, message }: UnaryResponse,
  isRead: boolean,
  clock: Clock,
): void {
  // Caches of other people must not have tokens, nor hand out somebody's cookie.
  header.set('cache-control', 'no-store');
  const tokens = tokensIn(method.output, message);
  if (tokens && tokens.refreshToken !== '') {
    const seconds = secondsUntil(tokens, clock);
    header.append('set-cookie', sessionCookie(tokens.refreshToken, seconds));
    tokens.refreshToken = '';
  }
  if (isRead && method.input === LogoutRequestSchema) {
    header.append('set-cookie', forgottenCookie());
  }
}

function requireMode(
  mode: string,
  { requestMethod, header }: Request,
  own: ReadonlySet<string>,
): void {
  if (mode !== 'cookie') {
    const message = `${SESSION_MODE} is not \`cookie\`, the one mode that there is`;
    throw new Failure('invalid', 'INVALID_REQUEST', message);
  }
  if (requestMethod !== 'POST') {
    throw new Failure('invalid', 'INVALID_REQUEST', 'a page with a cookie calls by POST only');
  }
  if (!own.has(header.get('origin') ?? '')) {
    throw refused(
      'this origin may not use the cookie; COUNTERSIGN_CORS_ORIGINS lists those that may',
    );
  }
  if (!OWN_SITE.has(header.get('sec-fetch-site'))) {
    throw refused(
      'the page is of another site than the service, to which no browser sends its cookie',
    );
  }
}

function refused(message: string): Failure {
  return new Failure('denied', 'PERMISSION_DENIED', message);
}

/** Fills in the refresh token of a request that takes one. Returns whether there was a cookie to read. */
function readCookie({ message, header }: UnaryRequest): boolean {
  const isRefresh = isMessage(message, RefreshTokenRequestSchema);
  if (!isRefresh && !isMessage(message, LogoutRequestSchema)) return false;
  if (message.refreshToken !== '') {
    throw invalidField(
      'refresh_token',
      'must be empty in this mode: the browser has it in a cookie',
    );
  }
  const token = cookieIn(header.get('cookie') ?? '');
  if (token === undefined && isRefresh) {
    const text = 'the browser has no session here; sign in';
    throw new Failure('unauthenticated', 'CREDENTIALS_MISSING', text);
  }
  message.refreshToken = token ?? '';
  return token !== undefined;
}

/** The tokens in an answer, in whichever field it has them. */
function tokensIn(schema: DescMessage, message: Message): Tokens | undefined {
  const answer = reflect(schema, message);
  for (const field of schema.fields) {
    if (field.fieldKind !== 'message' || !answer.isSet(field)) continue;
    const value = answer.get(field).message;
    if (isMessage(value, TokensSchema)) return value;
  }
  return undefined;
}

function secondsUntil({ refreshExpiresAt }: Tokens, clock: Clock): number {
  const end = refreshExpiresAt ? timestampMs(refreshExpiresAt) : 0;
  return Math.max(0, Math.floor((end - clock.now().getTime()) / 1000));
}
