import { create } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { appCode, enrolled } from '../authenticator-app.ts';
import { Peer } from '../federation/peer.ts';
import { addProviders, linkVisit, newcomer } from '../federation/people.ts';
import { newEmail, PASSWORD, signIn } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';
import { Authenticator } from '../passkeys/authenticator.ts';
import { withPasskey } from '../passkeys/people.ts';
import { type Call, type Changes, mailed, named, person } from './changes.ts';

/** A provider, and calls that link one of its people to an account. */
async function linking(service: Service) {
  const peer = await Peer.start();
  addProviders(service, [peer.settings()]);
  const link = async (account: Client<typeof AccountService>, sub: string): Promise<Call> => {
    const answer = await linkVisit(account, peer, sub);
    return (options) => account.finishIdentityLink(answer, options);
  };
  return { peer, link };
}

/** What each method of AccountService leaves in the trail. */
export const changesOfAccountService: Changes<typeof AccountService> = {
  getMe: 'reads',
  async updateMe(service) {
    const { account } = await person(service);
    const foreign = { user: create(UserSchema), updateMask: { paths: ['roles'] } };
    return {
      done: [[named(account, 'Ada'), 'account.updated'], [named(account, 'Ada')]],
      refused: [[(options) => account.updateMe(foreign, options)]],
    };
  },
  async changePassword(service) {
    const { email, account } = await person(service);
    await signIn(service, email);
    const change = (currentPassword: string, newPassword: string): Call => {
      return (options) => account.changePassword({ currentPassword, newPassword }, options);
    };
    return {
      refused: [
        [change('wrong', 'another fine password'), 'account.password_refused'],
        [change(PASSWORD, PASSWORD)],
      ],
      done: [
        [change(PASSWORD, 'another fine password'), 'account.password_changed', 'sessions.ended'],
      ],
    };
  },
  async changeEmail(service) {
    const { email, account } = await person(service);
    const change = (newEmail: string): Call => {
      return (options) => account.changeEmail({ newEmail }, options);
    };
    return {
      done: [[change(newEmail()), 'account.email_change_requested']],
      refused: [[change(email)]],
    };
  },
  async confirmEmailChange(service) {
    const { account } = await person(service);
    const next = newEmail();
    await account.changeEmail({ newEmail: next });
    const token = await mailed(service, next, /./);
    const call: Call = (options) => account.confirmEmailChange({ token }, options);
    return { done: [[call, 'account.email_changed']], refused: [[call]] };
  },
  async beginTotpEnrollment(service) {
    const { account } = await person(service);
    const second = await enrolled(service);
    return {
      done: [
        [(options) => account.beginTotpEnrollment({}, options), 'account.mfa_enrollment_begun'],
      ],
      refused: [[(options) => second.account.beginTotpEnrollment({}, options)]],
    };
  },
  async confirmTotpEnrollment(service) {
    const { account } = await person(service);
    const { secret } = await account.beginTotpEnrollment({});
    const confirm = (code: string): Call => {
      return (options) => account.confirmTotpEnrollment({ code }, options);
    };
    return {
      refused: [[confirm('000000')]],
      done: [[confirm(appCode(secret, service.clock.now())), 'account.mfa_enabled']],
    };
  },
  async disableTotp(service) {
    const { account } = await enrolled(service);
    const call: Call = (options) => account.disableTotp({}, options);
    return { done: [[call, 'account.mfa_disabled']], refused: [[call]] };
  },
  async regenerateRecoveryCodes(service) {
    const { account } = await enrolled(service);
    const other = await person(service);
    return {
      done: [
        [
          (options) => account.regenerateRecoveryCodes({}, options),
          'account.recovery_codes_replaced',
        ],
      ],
      refused: [[(options) => other.account.regenerateRecoveryCodes({}, options)]],
    };
  },
  beginPasskeyRegistration: 'reads',
  async finishPasskeyRegistration(service) {
    const { account } = await person(service);
    const { optionsJson } = await account.beginPasskeyRegistration({});
    const credentialJson = new Authenticator().create(optionsJson);
    const call: Call = (options) => account.finishPasskeyRegistration({ credentialJson }, options);
    return { done: [[call, 'passkey.added']], refused: [[call]] };
  },
  listPasskeys: 'reads',
  async renamePasskey(service) {
    const { person, passkeyId } = await withPasskey(service);
    const account = service.client(AccountService, 'grpc', person.accessToken);
    const rename = (passkeyId: string): Call => {
      return (options) => account.renamePasskey({ passkeyId, displayName: 'Key' }, options);
    };
    return {
      done: [[rename(passkeyId), 'passkey.renamed'], [rename(passkeyId)]],
      refused: [[rename('00000000-0000-7000-8000-000000000000')]],
    };
  },
  async deletePasskey(service) {
    const { person, passkeyId } = await withPasskey(service);
    const account = service.client(AccountService, 'grpc', person.accessToken);
    const call: Call = (options) => account.deletePasskey({ passkeyId }, options);
    return { done: [[call, 'passkey.removed']], refused: [[call]] };
  },
  listIdentities: 'reads',
  startIdentityLink: 'reads',
  async finishIdentityLink(service) {
    const { account } = await person(service);
    const { peer, link } = await linking(service);
    const call = await link(account, newcomer(peer).sub);
    const refused = await link(account, 'nobody');
    return { done: [[call, 'identity.linked']], refused: [[call], [refused]] };
  },
  async unlinkIdentity(service) {
    const { account } = await person(service);
    const { peer, link } = await linking(service);
    await (await link(account, newcomer(peer).sub))({});
    const { identities } = await account.listIdentities({});
    const identityId = identities[0]?.identityId ?? '';
    const call: Call = (options) => account.unlinkIdentity({ identityId }, options);
    return { done: [[call, 'identity.unlinked']], refused: [[call]] };
  },
  async exportMe(service) {
    const { account } = await person(service);
    return { done: [[(options) => account.exportMe({}, options), 'account.exported']] };
  },
  async deleteMe(service) {
    const { account } = await person(service);
    const call: Call = (options) => account.deleteMe({}, options);
    return { done: [[call, 'account.deleted', 'sessions.ended']], refused: [[call]] };
  },
};
