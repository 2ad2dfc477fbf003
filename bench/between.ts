/** Reads the whole number of an option. Throws an error that says which numbers it may be. */
export function between(min: number, max: number, name: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new Error(`--${name} must be a whole number from ${min} to ${max}`);
}
