import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What requests without a body are measured against: node:http, which writes the same headers to each and
 * does nothing else. Its argument are the headers, in JSON.
 */
const [headers = '{}'] = process.argv.slice(2);
const fields = JSON.parse(headers);

const server = createServer((_req, res) => {
  res.writeHead(200, fields);
  res.end();
});

// As long as the service's, since answers name it.
server.keepAliveTimeout = 75_000;
server.listen(0, '127.0.0.1', () => {
  process.stderr.write(`ready on 127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => process.exit());
