export { type Rule, type Rules, requirePermission } from './access.ts';
export { type Reason, VerifierError } from './errors.ts';
export type { VerifierEvents } from './events.ts';
export type { HttpRequest } from './http-request.ts';
export type { ServiceAddress, VerifierOptions, WhileStale } from './options.ts';
export type { Credential } from './own-credential.ts';
export type { Principal } from './principal.ts';
export type { Presented } from './streams.ts';
export type { TlsFiles } from './tls-fetch.ts';
export {
  createTokenSource,
  type KeyExchange,
  type RefreshedSession,
  type TokenPair,
  type TokenSource,
  type TokenSourceOptions,
  type Tokens,
} from './token-source.ts';
export { createVerifier, type Verifier } from './verifier.ts';
