import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { connectJson } from '../load/connect-json.ts';
import type { Row } from '../report/row.ts';
import { createAccount, signIn, startService } from '../service/service.ts';

/** The token check by the protocol of most programs. */
export const introspectTokenJson: Row = {
  name: 'IntrospectTokenJson',
  about: 'SessionService/IntrospectToken by Connect in JSON over HTTP/1.1, against a bare echo',
  target: 0.5,
  async prepare(cleanups, { profileDirectory }) {
    const service = await startService(cleanups, {
      dataDir: cleanups.directory(),
      profileDirectory,
    });
    await createAccount(service);
    const token = await signIn(service);
    return connectJson(cleanups, service, SessionService.method.introspectToken, { token });
  },
};
