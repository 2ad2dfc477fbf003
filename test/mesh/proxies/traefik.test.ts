import { proxyTests } from './proxy-tests.ts';

proxyTests('Traefik', {
  versions: ['1.0', '1.1', '2'],
  cookies: { kilobytes: 60, line: 60 },
  withKey: (key) => (text) =>
    text
      .replace(/^( +)# caller:\n +# (.+)\n +# (.+)csk_…(.+)$/m, `$1caller:\n$1$2\n$1$3${key}$4`)
      .replaceAll(/middlewares: \[(with|for)-/g, 'middlewares: [caller, $1-')
      .replaceAll('[Authorization, X-Api-Key]', '[Authorization, X-Api-Key, X-Countersign-Caller]'),
});
