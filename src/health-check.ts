import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';

/**
 * What a container's health check runs: asks this machine's HTTP listener whether it is ready, and
 * exits with 0 if so. It imports nothing of the service, so that it takes no time.
 */
const TIMEOUT_MS = 2500;

const { COUNTERSIGN_HTTP_ADDR: address = '127.0.0.1:8080', COUNTERSIGN_TLS_CERT_FILE: tls } =
  process.env;
const port = Number(/:(\d+)$/.exec(address)?.[1]);
// The certificate names the service's host, not this address, and is not what is being checked.
const options = { host: '127.0.0.1', port, path: '/readyz', rejectUnauthorized: false };

const request = (tls ? getHttps : getHttp)(options, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
});
request.setTimeout(TIMEOUT_MS, () => process.exit(1));
request.on('error', () => process.exit(1));
