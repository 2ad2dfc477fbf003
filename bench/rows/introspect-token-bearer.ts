import { againstEcho } from '../load/against-echo.ts';
import { introspection } from '../load/introspection.ts';
import type { Row } from '../report/row.ts';
import { createAccount, makeAdmin, signIn, startService } from '../service/service.ts';

/** The token check for a caller with a credential of its own: two tokens are checked. */
export const introspectTokenBearer: Row = {
  name: 'IntrospectTokenBearer',
  about: 'the same for a caller that authenticates with an access token with tokens.introspect',
  target: 0.8,
  async prepare(cleanups, { profileDirectory }) {
    const dataDir = cleanups.directory();
    const first = await startService(cleanups, { dataDir });
    await createAccount(first);
    const token = await signIn(first);
    await first.stop();
    await makeAdmin(dataDir);
    const service = await startService(cleanups, { dataDir, profileDirectory });
    return againstEcho(cleanups, service, introspection(token, await signIn(service)));
  },
};
