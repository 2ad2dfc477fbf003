/** Header fields as node:http and node:http2 have them. */
type Fields = Readonly<Record<string, string | string[] | undefined>>;

/** Header fields as Connect has them, without the pseudo-headers of HTTP/2. */
export function headersFrom(fields: Fields): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith(':') || value === undefined) continue;
    for (const each of [value].flat()) headers.append(name, each);
  }
  return headers;
}

/** The value of a header; several lines of one name count as a list. */
export function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
