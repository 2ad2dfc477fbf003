import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import type { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { keysOf, newKey } from '../api-keys/keys.ts';
import { person } from '../harness/people.ts';
import type { Call, Changes } from './changes.ts';

/** What each method of ApiKeyService leaves in the trail. */
export const changesOfApiKeyService: Changes<typeof ApiKeyService> = {
  async createApiKey(service) {
    const keys = keysOf(service, await person(service));
    const admin = await person(service, 'admin');
    const { serviceAccount } = await service
      .client(AdminService, 'grpc', admin.accessToken)
      .createServiceAccount({ displayName: 'Robot' });
    const { serviceAccountId = '' } = serviceAccount ?? {};
    const beyond = { displayName: 'x', scopes: ['users.read'] };
    const theirs = { displayName: 'x', serviceAccountId };
    return {
      done: [
        [(options) => keys.createApiKey({ displayName: 'x' }, options), 'api_key.created'],
        [(options) => keysOf(service, admin).createApiKey(theirs, options), 'api_key.created'],
      ],
      refused: [
        [(options) => keys.createApiKey(beyond, options)],
        [(options) => keys.createApiKey(theirs, options)],
      ],
    };
  },
  getApiKey: 'reads',
  listApiKeys: 'reads',
  async updateApiKey(service) {
    const owner = await person(service);
    const { id: apiKeyId } = await newKey(service, owner);
    const keys = keysOf(service, owner);
    const change = (values: { displayName?: string; etag?: string }): Call => {
      return (options) => keys.updateApiKey({ apiKey: { apiKeyId, ...values } }, options);
    };
    return {
      done: [
        [change({ displayName: 'Other' }), 'api_key.updated'],
        [change({ displayName: 'Other' })],
        [change({})],
      ],
      refused: [[change({ displayName: 'Late', etag: 'x' })]],
    };
  },
  async rotateApiKey(service) {
    const owner = await person(service);
    const { id: apiKeyId } = await newKey(service, owner);
    const other = await person(service, 'admin');
    const rotate = (who: { accessToken: string }): Call => {
      return (options) => keysOf(service, who).rotateApiKey({ apiKeyId }, options);
    };
    return { done: [[rotate(owner), 'api_key.rotated']], refused: [[rotate(other)]] };
  },
  async revokeApiKey(service) {
    const owner = await person(service);
    const { id: apiKeyId } = await newKey(service, owner);
    const other = await person(service);
    const revoke = (who: { accessToken: string }): Call => {
      return (options) => keysOf(service, who).revokeApiKey({ apiKeyId }, options);
    };
    return {
      refused: [[revoke(other)]],
      done: [[revoke(owner), 'api_key.revoked'], [revoke(owner)]],
    };
  },
  verifyApiKey: 'reads',
  batchVerifyApiKeys: 'reads',
  // Using a key changes nobody's permissions; the key has the time of its last use.
  async exchangeApiKey(service) {
    const owner = await person(service);
    const { id, secret } = await newKey(service, owner);
    const call: Call = (options) =>
      keysOf(service, owner).exchangeApiKey({ secret, audience: 'https://shop.test' }, options);
    const revoked = await newKey(service, owner);
    await keysOf(service, owner).revokeApiKey({ apiKeyId: revoked.id });
    const late = { secret: revoked.secret, audience: `https://shop.test/${id}` };
    return {
      done: [[call]],
      refused: [[(options) => keysOf(service, owner).exchangeApiKey(late, options)]],
    };
  },
};
