import { againstEcho } from '../load/against-echo.ts';
import { introspection } from '../load/introspection.ts';
import type { Row } from '../report/row.ts';
import { createAccount, signIn, startService } from '../service/service.ts';

/** The token check for a caller from a network that the operator trusts. */
export const introspectToken: Row = {
  name: 'IntrospectToken',
  about: 'SessionService/IntrospectToken of one token, trusted caller, against a bare echo',
  target: 0.95,
  async prepare(cleanups, { profileDirectory }) {
    const service = await startService(cleanups, {
      dataDir: cleanups.directory(),
      profileDirectory,
    });
    await createAccount(service);
    return againstEcho(cleanups, service, introspection(await signIn(service)));
  },
};
