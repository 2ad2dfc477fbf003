/** Loaded into a service whose memory is measured: it collects its garbage when told to by a signal. */
process.on('SIGUSR2', () => globalThis.gc?.({ type: 'major', flavor: 'last-resort' }));
