import { proxyTests } from './proxy-tests.ts';

proxyTests('Caddy', {
  versions: ['1.0', '1.1', '2'],
  cookies: { kilobytes: 12, line: 12 },
  withKey: (key) => (text) => text.replace(/# (header_up .*)csk_…/, `$1${key}`),
  http2: (text) => text.replace('admin off', 'admin off\n\tservers {\n\t\tprotocols h1 h2c\n\t}'),
});
