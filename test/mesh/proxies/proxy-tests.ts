import { before, describe, it } from 'node:test';
import { type CallerOptions, callerCases } from './caller-cases.ts';
import { type IdentityOptions, identityCases } from './identity-cases.ts';
import { outageCases } from './outage-cases.ts';
import { pathCases } from './path-cases.ts';
import { type Change, type ProxyName, skipOf } from './proxy.ts';
import { type RefusalOptions, refusalCases } from './refusal-cases.ts';
import { type Setting, startSetting } from './setting.ts';

export type ProxyOptions = IdentityOptions &
  RefusalOptions &
  CallerOptions & {
    /** What lets it speak HTTP/2 without TLS, if its example does not. */
    http2?: Change;
  };

/** What every example in deploy/mesh keeps, through the real proxy. */
export function proxyTests(
  name: ProxyName,
  options: ProxyOptions,
  more: (setting: () => Setting) => void = () => {},
): void {
  describe(`A service behind ${name}`, () => {
    const skip = skipOf(name);
    if (skip) {
      it('is what its example says', { skip });
      return;
    }
    let setting: Setting;
    before(async () => {
      setting = await startSetting(name, options.http2);
    });
    const current = () => setting;
    identityCases(current, options);
    refusalCases(current, options);
    pathCases(current);
    callerCases(current, options);
    outageCases(current);
    more(current);
  });
}
