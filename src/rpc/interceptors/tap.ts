/** Passes the messages of a stream through `each`, which may throw. */
export async function* tap<T>(messages: AsyncIterable<T>, each: (message: T) => void) {
  for await (const message of messages) {
    each(message);
    yield message;
  }
}
