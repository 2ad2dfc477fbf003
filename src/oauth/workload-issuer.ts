import { z } from 'zod';
import { isLoopback } from '../platform/net.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const keyUrl = z.string().refine(isKeyUrl, {
  message: 'is not an https URL (or http on this machine)',
});

const issuers = z
  .array(
    z.strictObject({
      /** The `iss` of its tokens. */
      issuer: keyUrl,
      /** Where its keys are; by default discovery says. */
      jwks_uri: keyUrl.optional(),
      /** The `aud` that its tokens must have. */
      audience: z.string().min(1).max(2000),
      /** Which of its subjects is which service account; the first that fits counts. */
      subjects: z
        .array(
          z.strictObject({
            subject: z.string().min(1).max(500),
            service_account: z.string().regex(UUID, 'is not the id of a service account'),
          }),
        )
        .min(1)
        .max(1000),
    }),
  )
  .max(20)
  .refine((all) => new Set(all.map(({ issuer }) => issuer)).size === all.length, {
    message: 'names an issuer twice',
  });

/** An issuer of tokens for workloads outside, such as a Kubernetes cluster or a CI. */
export type WorkloadIssuer = z.output<typeof issuers>[number];

/** The setting: JSON. Its problems name the place. */
export const workloadIssuers = z.string().transform((text, ctx): readonly WorkloadIssuer[] => {
  const parsed = issuers.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  for (const { path, message } of parsed.error.issues) {
    ctx.addIssue({ code: 'custom', message: `at ${path.join('.') || 'its start'}: ${message}` });
  }
  return z.NEVER;
});

/** Whether keys may be fetched from there: nobody in between can have replaced them. */
export function isKeyUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, hash } = new URL(text);
  if (username !== '' || hash !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

/** The service account of a subject. `*` in a pattern is any text without `:` and `/`. */
export function serviceAccountOf(
  { subjects }: WorkloadIssuer,
  subject: string,
): { id: string; pattern: string } | undefined {
  const parts = subject.split(SEPARATORS);
  const found = subjects.find(({ subject: pattern }) => fits(pattern.split(SEPARATORS), parts));
  return found && { id: found.service_account, pattern: found.subject };
}

/** With themselves, so that `:` is not `/`. */
const SEPARATORS = /([:/])/;

function fits(patterns: readonly string[], parts: readonly string[]): boolean {
  return (
    patterns.length === parts.length &&
    patterns.every((pattern, i) => partFits(pattern, parts[i] ?? ''))
  );
}

/** Looks at each character once: who has a branch or namespace to name chooses the subject. */
function partFits(pattern: string, part: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === part;
  const end = part.length - last.length;
  if (!part.startsWith(first) || !part.endsWith(last) || end < first.length) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = part.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
