import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What Connect calls in JSON are measured against: node:http, which reads the body of each request,
 * parses it, writes the same answer, and does nothing else. Its arguments are the answer and, if the bodies
 * are forms and no JSON, `form`.
 */
const [answer = '', type = 'json'] = process.argv.slice(2);
const parse = type === 'form' ? (text: string) => new URLSearchParams(text) : JSON.parse;
const value = JSON.parse(answer);

const server = createServer((req, res) => {
  let text = '';
  req.setEncoding('utf8');
  req.on('data', (chunk) => {
    text += chunk;
  });
  req.on('end', () => {
    parse(text);
    const body = JSON.stringify(value);
    res.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    });
    res.end(body);
  });
});

server.listen(0, '127.0.0.1', () => {
  process.stderr.write(`ready on 127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => process.exit());
