import { request } from 'node:https';

/**
 * What sending webhooks is measured against: node:https, which posts the same bytes again and again, each
 * on a connection of its own. Its arguments are the URL, how many are on their way, and the body.
 */
const [url = '', atOnce = '1', body = ''] = process.argv.slice(2);
const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };

function post(): void {
  const sent = request(url, { method: 'POST', agent: false, headers }, (response) => {
    response.resume();
    response.once('end', post);
  });
  sent.once('error', (error) => {
    process.stderr.write(`${error}\n`);
    process.exit(1);
  });
  sent.end(body);
}

for (let n = 0; n < Number(atOnce); n += 1) post();
