/** Control characters, which terminals obey, and those that change the direction of text. */
const CONTROLS = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Puts a replacement in place of every character that would do more on a terminal than be shown. */
export function printable(text: string): string {
  return text.replace(CONTROLS, (control) => (control === '\n' ? control : '\ufffd'));
}

/** JSON on one line that can be shown on a terminal, and says the same. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(
    CONTROLS,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
