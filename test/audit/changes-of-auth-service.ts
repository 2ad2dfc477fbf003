import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { newKey, newRobot } from '../api-keys/keys.ts';
import { challenged, enrolled } from '../authenticator-app.ts';
import { Peer } from '../federation/peer.ts';
import { addProviders, visited } from '../federation/people.ts';
import { createAccount, newEmail, PASSWORD, person as withRoles } from '../harness/people.ts';
import { startReplica } from '../harness/service.ts';
import { OutsideIssuer } from '../oauth/outside-issuer.ts';
import { loginOptions, withPasskey } from '../passkeys/people.ts';
import { type Call, type Changes, mailed, person } from './changes.ts';

/** What each method of AuthService leaves in the trail. */
export const changesOfAuthService: Changes<typeof AuthService> = {
  async signUp(service) {
    const email = newEmail();
    const { auth } = service;
    return {
      done: [
        [(options) => auth.signUp({ email, password: PASSWORD }, options), 'account.created'],
        // The owner of a taken address gets a mail, and nothing changes.
        [
          async (options) =>
            auth.signUp({ email: await createAccount(service), password: PASSWORD }, options),
        ],
      ],
      refused: [[(options) => auth.signUp({ email: newEmail(), password: 'short' }, options)]],
    };
  },
  async verifyEmail(service) {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD });
    const token = await mailed(service, email, /Confirm/);
    const call: Call = (options) => service.auth.verifyEmail({ token }, options);
    return { done: [[call, 'account.email_verified']], refused: [[call]] };
  },
  async resendVerification(service) {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD });
    const { auth } = service;
    return {
      done: [
        [
          (options) => auth.resendVerification({ email }, options),
          'account.verification_requested',
        ],
        [(options) => auth.resendVerification({ email: newEmail() }, options)],
      ],
    };
  },
  async login(service) {
    const email = await createAccount(service);
    const second = await enrolled(service);
    const { auth } = service;
    return {
      done: [
        [(options) => auth.login({ email, password: PASSWORD }, options), 'session.created'],
        [
          (options) => auth.login({ email: second.email, password: PASSWORD }, options),
          'sign_in.challenged',
        ],
      ],
      refused: [
        [(options) => auth.login({ email, password: 'wrong' }, options), 'sign_in.failed'],
        [(options) => auth.login({ email: newEmail(), password: 'x' }, options), 'sign_in.failed'],
      ],
    };
  },
  async completeMfa(service) {
    const { email, recoveryCodes } = await enrolled(service);
    const { challengeToken } = await challenged(service, email);
    const complete = (value: string): Call => {
      const factor = { case: 'recoveryCode', value } as const;
      return (options) => service.auth.completeMfa({ challengeToken, factor }, options);
    };
    return {
      refused: [[complete('aaaaa-aaaaa'), 'sign_in.failed']],
      done: [[complete(recoveryCodes[0] ?? ''), 'account.recovery_code_used', 'session.created']],
    };
  },
  beginPasskeyLogin: 'reads',
  async finishPasskeyLogin(service) {
    const { authenticator } = await withPasskey(service);
    const credentialJson = authenticator.get(await loginOptions(service));
    const call: Call = (options) => service.auth.finishPasskeyLogin({ credentialJson }, options);
    return { done: [[call, 'session.created']], refused: [[call, 'sign_in.failed']] };
  },
  listProviders: 'reads',
  startFederatedLogin: 'reads',
  async finishFederatedLogin(service) {
    const peer = await Peer.start();
    const email = newEmail();
    addProviders(service, [peer.settings()]);
    const finish = async (sub: string): Promise<Call> => {
      const answer = await visited(service, peer, sub);
      return (options) => service.auth.finishFederatedLogin(answer, options);
    };
    const sub = peer.person({ email, email_verified: true });
    const taken = peer.person({ email: await createAccount(service), email_verified: true });
    const first = await finish(sub);
    return {
      done: [
        [first, 'account.created', 'identity.linked', 'session.created'],
        [await finish(sub), 'session.created'],
      ],
      refused: [
        [first],
        [await finish('nobody'), 'sign_in.failed'],
        [await finish(peer.person({ email })), 'sign_in.failed'],
        [await finish(taken), 'sign_in.failed'],
      ],
    };
  },
  async reauthenticate(service) {
    const { auth } = await person(service);
    const { accessToken } = await enrolled(service);
    const second = service.client(AuthService, 'grpc', accessToken);
    const by = (value: string): Call => {
      return (options) => auth.reauthenticate({ proof: { case: 'password', value } }, options);
    };
    return {
      done: [[by(PASSWORD), 'session.reauthenticated']],
      refused: [
        [by('wrong'), 'account.password_refused'],
        [
          (options) =>
            second.reauthenticate({ proof: { case: 'totpCode', value: '000000' } }, options),
          'account.code_refused',
        ],
      ],
    };
  },
  async requestPasswordReset(service) {
    const email = await createAccount(service);
    const { auth } = service;
    return {
      done: [
        [
          (options) => auth.requestPasswordReset({ email }, options),
          'account.password_reset_requested',
        ],
        [(options) => auth.requestPasswordReset({ email: newEmail() }, options)],
      ],
    };
  },
  async resetPassword(service) {
    const { email } = await person(service);
    await service.auth.requestPasswordReset({ email });
    const token = await mailed(service, email, /password/i);
    const call: Call = (options) =>
      service.auth.resetPassword({ token, newPassword: 'another fine password' }, options);
    return { done: [[call, 'account.password_reset', 'sessions.ended']], refused: [[call]] };
  },
  async secureAccount(service) {
    const { email, account } = await person(service);
    const newPassword = 'another fine password';
    await account.changePassword({ currentPassword: PASSWORD, newPassword });
    const token = await mailed(service, email, /password/i);
    const call: Call = (options) => service.auth.secureAccount({ token }, options);
    return { done: [[call, 'account.secured', 'sessions.ended']], refused: [[call]] };
  },
  // Using a session changes nobody's permissions; the session has the time of its last use.
  async refreshToken(service) {
    const { refreshToken } = await person(service);
    const refresh = (token: () => string): Call => {
      return (options) => service.auth.refreshToken({ refreshToken: token() }, options);
    };
    return {
      done: [
        [
          async (options) => {
            const { tokens } = await service.auth.refreshToken({ refreshToken }, options);
            await service.auth.refreshToken({ refreshToken: tokens?.refreshToken ?? '' });
          },
        ],
      ],
      refused: [[refresh(() => refreshToken), 'session.refresh_token_reused']],
    };
  },
  async exchangeToken(service) {
    const { accessToken: subjectToken } = await person(service);
    const admin = await withRoles(service, 'user', 'admin');
    const { secret } = await newKey(service, admin, {
      serviceAccountId: await newRobot(service, 'admin'),
      scopes: ['tokens.exchange'],
    });
    const auth = service.client(AuthService, 'grpc', secret);
    const to = (audience: string): Call => {
      return (options) => auth.exchangeToken({ subjectToken, audience }, options);
    };
    return {
      done: [[to('https://issuer.test'), 'token.exchanged']],
      refused: [[to('https://other.test')]],
    };
  },
  async exchangeWorkloadToken(service) {
    const issuer = await OutsideIssuer.start();
    const env = issuer.trustedBy(await newRobot(service, 'auditor'));
    const { auth } = await startReplica(service, { env });
    const subjectToken = await issuer.workloadToken(service);
    const call: Call = (options) => auth.exchangeWorkloadToken({ subjectToken }, options);
    return { done: [[call, 'token.exchanged']], refused: [[call]] };
  },
  async logout(service) {
    const { refreshToken } = await person(service);
    const call: Call = (options) => service.auth.logout({ refreshToken }, options);
    return { done: [[call, 'session.ended'], [call]] };
  },
};
