import { proxyTests } from './proxy-tests.ts';

proxyTests('HAProxy', {
  versions: ['1.0', '1.1', '2'],
  cookies: { kilobytes: 8, line: 8 },
  withKey: (key) => (text) => text.replace('CALLER = nil', `CALLER = { "Bearer ${key}" }`),
});
