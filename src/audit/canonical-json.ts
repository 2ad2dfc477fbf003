/**
 * Returns JSON in its one canonical form (RFC 8785): members sorted by their names' UTF-16 code units,
 * no white space, numbers and strings as ECMAScript writes them. `value` must be representable in JSON;
 * members that are undefined are left out.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  if ('toJSON' in value) return canonicalJson(JSON.parse(JSON.stringify(value)));
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}
