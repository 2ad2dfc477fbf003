/** When the last of those who share something has finished with it. */
const lastOf = new WeakMap<object, Promise<void>>();

/**
 * Waits until all who came before have finished with what is shared. Returns a function that says that
 * the caller has finished, or undefined if `signal` ended the wait.
 */
export async function oneAtATime(
  shared: object,
  signal: AbortSignal,
): Promise<(() => void) | undefined> {
  const before = lastOf.get(shared) ?? Promise.resolve();
  const { promise, resolve: finish } = Promise.withResolvers<void>();
  lastOf.set(shared, promise);
  const left = Promise.withResolvers<void>();
  const leave = () => left.resolve();
  signal.addEventListener('abort', leave);
  if (!signal.aborted) await Promise.race([before, left.promise]);
  signal.removeEventListener('abort', leave);
  if (!signal.aborted) return finish;
  before.then(finish);
  return undefined;
}
