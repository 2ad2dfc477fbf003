/** Waits for what others may wait for too, but no longer than a signal. */
export function until<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    const stay = () => signal.removeEventListener('abort', leave);
    work.then(resolve, reject).finally(stay);
  });
}

/** The same for a time. Its timer keeps no process alive. */
export function within<T>(work: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(message)), timeoutMs).unref();
  return until(work, late.signal).finally(() => clearTimeout(timer));
}
