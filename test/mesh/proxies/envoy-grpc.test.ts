import { carelessEnvoyCases } from './careless-envoy-cases.ts';
import { failureModeCases } from './failure-mode-cases.ts';
import { databaseCases } from './outage-cases.ts';
import { proxyTests } from './proxy-tests.ts';

proxyTests(
  'Envoy by gRPC',
  {
    versions: ['1.1', '2'],
    cookies: { kilobytes: 50, line: 50 },
    withKey: (key) => (text) => text.replace(/# (initial_metadata:\n +)# (.*)csk_…/, `$1$2${key}`),
  },
  (setting) => {
    carelessEnvoyCases(setting);
    failureModeCases(setting);
    databaseCases(setting);
  },
);
