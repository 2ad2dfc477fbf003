import { proxyTests } from './proxy-tests.ts';

proxyTests('Envoy by HTTP', {
  versions: ['1.1', '2'],
  cookies: { kilobytes: 50, line: 50 },
  withKey: (key) => (text) => text.replace(/# (headers_to_add: .*)csk_…/, `$1${key}`),
});
