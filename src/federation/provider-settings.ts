import { z } from 'zod';
import { isLoopback } from '../platform/net.ts';
import { redirectUriProblem } from './redirect-uris.ts';

const PRESETS = ['google', 'github', 'microsoft', 'gitlab', 'oidc'] as const;

type Preset = (typeof PRESETS)[number];

/** An identity provider as the operator has configured it. */
export type ProviderSettings = Readonly<{
  id: string;
  preset: Preset;
  displayName: string;
  issuer: string;
  clientId: string;
  /** Undefined for a client that has none. */
  clientSecret: string | undefined;
  redirectUris: readonly string[];
  scopes: readonly string[];
  /** Whether people without an account get one. */
  signUp: boolean;
  /** Whether an identity is linked to the verified account of its address without its owner's consent. */
  autoLink: boolean;
  /** Whether the operator takes the provider's word for every address. */
  trustEmail: boolean;
  /** Values of `amr` and `acr` that say that the provider has asked for a second factor. */
  mfaAmr: readonly string[];
  mfaAcr: readonly string[];
}>;

const DISPLAY_NAMES: Record<Preset, string> = {
  google: 'Google',
  github: 'GitHub',
  microsoft: 'Microsoft',
  gitlab: 'GitLab',
  oidc: '',
};

/** Where a provider is if the operator names no other place. Microsoft's depends on the tenant. */
const ISSUERS: Partial<Record<Preset, string>> = {
  google: 'https://accounts.google.com',
  github: 'https://github.com/login/oauth',
  gitlab: 'https://gitlab.com',
};
const OPENID_SCOPES = ['openid', 'email', 'profile'];
const GITHUB_SCOPES = ['read:user', 'user:email'];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const text = (max = 200) =>
  z.string('is missing, or is not a text').min(1, 'is empty').max(max, 'is too long');
const texts = z.array(text(), 'is not a list of texts').max(50, 'has more than 50 entries');
const flag = z.boolean('is not true or false');

const issuer = text(500).refine(isIssuer, {
  message: 'is not a URL like https://id.example.com, without a query (http only on loopback)',
});

const redirectUri = text(1000).superRefine((uri, ctx) => {
  const problem = redirectUriProblem(uri);
  if (problem !== undefined) ctx.addIssue({ code: 'custom', message: problem });
});

const provider = z.strictObject(
  {
    id: text(40).regex(/^[a-z0-9][a-z0-9_-]*$/, 'is not made of a-z, 0-9, - and _'),
    preset: z.enum(PRESETS, `is not one of ${PRESETS.join(', ')}`).default('oidc'),
    display_name: text(100).optional(),
    issuer: issuer.optional(),
    tenant: z.string().regex(UUID, 'is not the id of a directory, which is a UUID').optional(),
    client_id: text(500),
    client_secret: text(2000).optional(),
    client_secret_file: text(1000).optional(),
    redirect_uris: z
      .array(redirectUri, 'is missing, or is not a list')
      .min(1, 'is empty')
      .max(20, 'has more than 20 entries'),
    scopes: texts.optional(),
    sign_up: flag.default(true),
    auto_link: flag.default(false),
    trust_email: flag.default(false),
    mfa_amr: texts.default([]),
    mfa_acr: texts.default([]),
  },
  'is not an object',
);

const providers = z
  .array(provider, 'is not a list of providers')
  .max(50, 'has more than 50 entries');

type Written = z.output<typeof provider>;

/** What has been read: the providers, or everything that is wrong with them. */
type Read = { providers: ProviderSettings[]; problems: string[] };

/**
 * Reads the configured providers from JSON, and their secrets from files by `readSecret`. Problems quote
 * neither, since both hold secrets.
 */
export function readProviders(json: string, readSecret: (path: string) => string): Read {
  const parsed = providers.safeParse(parse(json));
  if (!parsed.success) {
    return { providers: [], problems: parsed.error.issues.map(problemOf) };
  }
  const problems = parsed.data.flatMap((each, i) =>
    contradictionsIn(each).map((problem) => `[${i}]${problem}`),
  );
  const ids = parsed.data.map(({ id }) => id);
  const doubled = ids.findIndex((id, i) => ids.indexOf(id) !== i);
  if (doubled >= 0) problems.push(`[${doubled}].id is that of another provider`);
  const read = parsed.data.map((each, i) => {
    try {
      return settingsOf(each, secretOf(each, readSecret));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'it is empty';
      problems.push(`[${i}].client_secret_file can't be read: ${code}`);
      return settingsOf(each, undefined);
    }
  });
  return { providers: problems.length > 0 ? [] : read, problems };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function problemOf({ path, message, ...issue }: z.core.$ZodIssue): string {
  const place = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`));
  const unknown =
    issue.code === 'unrecognized_keys' ? `has unknown settings: ${issue.keys}` : message;
  return `${place.join('')} ${unknown}`;
}

function contradictionsIn(written: Written): string[] {
  const { preset, tenant, scopes } = written;
  const problems: string[] = [];
  if (written.client_secret !== undefined && written.client_secret_file !== undefined)
    problems.push(' has both client_secret and client_secret_file');
  if (preset === 'microsoft' && tenant === undefined)
    problems.push('.tenant is missing: anyone can make a directory in which they have any address');
  if (preset !== 'microsoft' && tenant !== undefined)
    problems.push('.tenant is for the preset microsoft');
  if (['google', 'microsoft'].includes(preset) && written.issuer !== undefined)
    problems.push(`.issuer is not for the preset ${preset}`);
  if (preset === 'oidc' && written.issuer === undefined) problems.push('.issuer is missing');
  if (preset === 'oidc' && written.display_name === undefined)
    problems.push('.display_name is missing');
  if (preset !== 'github' && scopes && !scopes.includes('openid'))
    problems.push('.scopes lacks openid');
  if (preset === 'github' && written.mfa_amr.length + written.mfa_acr.length > 0)
    problems.push(' has mfa_amr or mfa_acr, but GitHub does not tell how people signed in');
  return problems;
}

function secretOf(written: Written, readSecret: (path: string) => string): string | undefined {
  if (written.client_secret_file === undefined) return written.client_secret;
  const secret = readSecret(written.client_secret_file).trim();
  if (secret === '') throw new Error('empty');
  return secret;
}

function settingsOf(written: Written, clientSecret: string | undefined): ProviderSettings {
  const { id, preset, tenant } = written;
  const ofTenant = `https://login.microsoftonline.com/${tenant}/v2.0`;
  return {
    id,
    preset,
    displayName: written.display_name ?? DISPLAY_NAMES[preset],
    issuer: tenant === undefined ? (written.issuer ?? ISSUERS[preset] ?? '') : ofTenant,
    clientId: written.client_id,
    clientSecret,
    redirectUris: written.redirect_uris,
    scopes: written.scopes ?? (preset === 'github' ? GITHUB_SCOPES : OPENID_SCOPES),
    signUp: written.sign_up,
    autoLink: written.auto_link,
    trustEmail: written.trust_email,
    mfaAmr: written.mfa_amr,
    mfaAcr: written.mfa_acr,
  };
}

function isIssuer(text: string): boolean {
  if (!URL.canParse(text) || /[?#@\\\s]/.test(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}
