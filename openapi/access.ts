import { type DescMethod, getOption, hasOption } from '@bufbuild/protobuf';
import { type AccessRule, access, RatePolicy } from '../gen/countersign/v1/access_pb.ts';
import type { Contract } from './contract.ts';
import type { Schema } from './rules.ts';

/** What a method asks of its callers: in prose, in OpenAPI, and by the reasons that it refuses them with. */
export type Access = {
  prose: string[];
  security: Schema[];
  reasons: string[];
  /** Those with which the credential itself is refused. */
  ofCredential: string[];
};

export const SECURITY_SCHEMES: Record<string, Schema> = {
  accessToken: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description:
      'The `accessToken` of a sign-in: of Login, CompleteMfa, FinishPasskeyLogin, FinishFederatedLogin or RefreshToken.',
  },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'x-api-key',
    description:
      'An API key, `csk_…`. It may come as `authorization: Bearer csk_…` too, and `authorization: Bearer …` may have what ExchangeApiKey returns for it.',
  },
  client: {
    type: 'http',
    scheme: 'basic',
    description:
      "A client of OAuth: the id of an API key, or of its service account, and the key's secret.",
  },
};

export function accessOf(contract: Contract, method: DescMethod): Access {
  if (!hasOption(method, access)) throw new Error(`${method} has no access rule`);
  const rule = getOption(method, access);
  const { maxSignInAge, ratePolicy } = rule;
  const found = caller(rule);
  if (maxSignInAge) {
    const minutes = Number(maxSignInAge.seconds) / 60;
    found.prose.push(`The sign-in must be at most ${minutes} minutes old.`);
    found.ofCredential.push('REAUTHENTICATION_REQUIRED');
  }
  if (ratePolicy !== RatePolicy.UNSPECIFIED) {
    found.prose.push(`Limited: ${limitOf(contract, ratePolicy)}`);
    found.reasons.push('RATE_LIMITED');
  }
  return found;
}

/** What an API key may be refused with although it is a good one. */
const OF_API_KEY = ['ADDRESS_NOT_ALLOWED', 'RATE_LIMITED'];
const BAD_CREDENTIAL = ['CREDENTIALS_MISSING', 'TOKEN_INVALID', 'TOKEN_EXPIRED', 'TOKEN_REVOKED'];

function caller(rule: AccessRule): Access {
  const { caller, apiKeyAllowed, trustedCallerAllowed, orPermission } = rule;
  const credential = apiKeyAllowed ? 'an access token or an API key' : 'an access token';
  const keys = apiKeyAllowed ? [] : ['No API key is accepted.'];
  const reasons = ['PERMISSION_DENIED', ...(apiKeyAllowed ? OF_API_KEY : [])];
  const closed = { reasons, ofCredential: [...BAD_CREDENTIAL] };
  switch (caller.case) {
    case 'public':
      return { prose: ['Anyone may call.'], security: [], reasons: [], ofCredential: [] };
    case 'signedIn':
      return {
        prose: [`Anyone with ${credential} may call.`, ...keys],
        security: ways([], apiKeyAllowed),
        ...closed,
      };
    case 'permission': {
      const either = [caller.value, orPermission].filter((each) => each !== '');
      const named = either.map((each) => `\`${each}\``).join(' or ');
      const trusted = 'Callers from COUNTERSIGN_TRUSTED_CALLERS need none.';
      return {
        prose: [
          `Needs ${credential} with the permission ${named}.`,
          ...keys,
          ...(trustedCallerAllowed ? [trusted] : []),
        ],
        security: [
          ...either.flatMap((each) => ways([each], apiKeyAllowed)),
          ...(trustedCallerAllowed ? [{}] : []),
        ],
        ...closed,
      };
    }
    default:
      throw new Error('an access rule says nothing about the caller');
  }
}

function ways(permissions: string[], apiKeyAllowed: boolean): Schema[] {
  const token = { accessToken: permissions };
  return apiKeyAllowed ? [token, { apiKey: permissions }] : [token];
}

/** What the comment of a rate policy says behind its colon: `30 calls a minute.` */
function limitOf(contract: Contract, policy: RatePolicy): string {
  const value = contract.enumOf('RatePolicy').values.find(({ number }) => number === policy);
  if (!value) throw new Error(`there is no rate policy ${policy}`);
  const prose = contract.prose(value);
  return prose.slice(prose.indexOf(':') + 1).trim();
}
