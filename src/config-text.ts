import { type Config, settings } from './config.ts';
import { formatAddress } from './platform/net.ts';

type Row = { name: string; about: string; fallback: string; secret: boolean };

function rows(): Row[] {
  return Object.entries(settings).map(([name, setting]) => ({ name, ...setting }));
}

/** The effective configuration for people and scripts. A secret shows only whether it is set. */
export function describeConfig(config: Config): Record<string, unknown> {
  const masked = (value: unknown) => (value === undefined ? undefined : '********');
  const { databaseUrl, redisUrl, smtpUrl, masterKeys, providers, tracing, ...open } = config;
  const { grpcAddress, httpAddress, metricsAddress, ...rest } = open;
  return {
    databaseUrl: masked(databaseUrl) ?? 'embedded',
    redisUrl: masked(redisUrl) ?? 'none',
    smtpUrl: masked(smtpUrl) ?? (config.mailbox === 'off' ? 'none' : 'mailbox'),
    masterKey: masked(masterKeys) ?? 'embedded',
    providers: providers.map(({ id }) => id).join(',') || 'none',
    grpcAddress: formatAddress(grpcAddress),
    httpAddress: formatAddress(httpAddress),
    metricsAddress: formatAddress(metricsAddress ?? httpAddress),
    tracing: tracing ? JSON.stringify({ ...tracing, headers: masked(tracing.headers) }) : 'none',
    ...Object.fromEntries(
      Object.entries(rest).map(([name, value]) => [
        name,
        typeof value === 'object' ? JSON.stringify(value) : (value ?? 'default'),
      ]),
    ),
  };
}

/** `.env.example`: every variable with its default, commented out. */
export function exampleEnvironment(): string {
  const blocks = rows().map(({ name, about, fallback, secret }) => {
    const file = secret ? ` Or ${name}_FILE.` : '';
    return `# ${about}${file}\n# Default: ${fallback || 'empty'}\n# ${name}=\n`;
  });
  return `# Countersign's configuration. Written by \`npm run countersign -- config --example\`.\n\n${blocks.join('\n')}`;
}

/** The README's table of the same. */
export function settingsTable(): string {
  const lines = rows().map(({ name, about, fallback, secret }) => {
    const file = secret ? ' Or as a file: `_FILE`.' : '';
    return `| \`${name}\` | ${fallback || '(empty)'} | ${about}${file} |`;
  });
  return `| variable | default | what it is |\n|---|---|---|\n${lines.join('\n')}\n`;
}
