import { connect } from 'node:net';

/**
 * The server that Connect's conformance runner starts, as often as it needs one. It passes what the
 * runner asks for on to the test, which runs the real servers, and lives until the runner ends it.
 */
const [, , socketPath = ''] = process.argv;
const socket = connect(socketPath);
process.stdin.pipe(socket, { end: false });
socket.pipe(process.stdout);
