import type { RawHttp2 } from '../frames.ts';

export const METHOD = '/countersign.v1.SessionService/IntrospectToken';
export const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
export const WATCH = '/grpc.health.v1.Health/Watch';

/** A window of no bytes for every stream, as the payload of a SETTINGS frame. */
export const NO_WINDOW = Buffer.from([0, 4, 0, 0, 0, 0]);

/** The place among the ways of the one that the fast path never takes. */
export const BY_GRPC_JS = 1;

/** An address, and the content type that decides how it serves a unary call. */
export type Way = readonly [address: string, contentType: string];

/** A service under attack. */
export type Target = {
  ways: readonly Way[];
  /** Opens a connection, which stays open after the attack. */
  connect(address: string): Promise<RawHttp2>;
  /** The same, but the client never acknowledges the settings. */
  connectDeaf(address: string): Promise<RawHttp2>;
  /** The same, and the client has said nothing yet: it may speak HTTP/1.1. */
  connectSilent(address: string): Promise<RawHttp2>;
};

/** A way for a caller without a credential to fill the memory of the service. */
export type Flood = {
  /** What happens, as a clause that follows "if". */
  title: string;
  attack(target: Target): Promise<void>;
  /** Whether it meets the same code with the fast path on and off. */
  isSameByAllPaths?: boolean;
  /** Whether another one of its kind stands for it in `npm test`. */
  isLikeAnother?: boolean;
};

/** The headers of an unknown caller: a caller with a bad credential is not trusted either. */
export function strange(contentType: string): Record<string, string> {
  return { 'content-type': contentType, authorization: 'Bearer nonsense' };
}

/** The ways that a unary call can be served, most of which depend on the fast path. */
export function waysOf({
  grpcAddress,
  httpAddress,
}: {
  grpcAddress: string;
  httpAddress: string;
}): Way[] {
  return [
    [grpcAddress, 'application/grpc'],
    [grpcAddress, 'application/grpc+json'],
    [httpAddress, 'application/json'],
  ];
}
