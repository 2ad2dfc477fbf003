import { proxyTests } from './proxy-tests.ts';

proxyTests('nginx', {
  versions: ['1.0', '1.1', '2'],
  cookies: { kilobytes: 24, line: 6 },
  explains: false,
  withKey: (key) => (text) => text.replace(/"";\s+# or "Bearer csk_…"/, `"Bearer ${key}";`),
  http2: (text) => text.replace(/listen (\S+);/, 'listen $1 http2;'),
});
