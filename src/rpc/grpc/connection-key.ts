import { createContextKey } from '@connectrpc/connect';

/** The connection that a stream came by: address and port of its other end. */
export const connectionKey = createContextKey('', { description: 'connection' });
