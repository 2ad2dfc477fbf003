import { readableOn } from '../texts/contrast.ts';

const LIGHT = '#ffffff';
const DARK = '#16181d';

/** The one stylesheet of all pages, in the operator's colour. */
export function stylesheet(color: string): string {
  const onLight = readableOn(LIGHT, color);
  const onDark = readableOn(DARK, color);
  return `
:root { color-scheme: light dark; --page: ${LIGHT}; --text: #1b1e24; --quiet: #596070; --line: #868d9b; --accent: ${onLight}; --bad: #b3261e; --good: #1b6e3c; }
@media (prefers-color-scheme: dark) {
  :root { --page: ${DARK}; --text: #e9ebef; --quiet: #a5acba; --line: #7b8392; --accent: ${onDark}; --bad: #ff9d95; --good: #7fd6a0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 34rem; padding: 2rem 1.25rem; background: var(--page); color: var(--text); font: 1.0625rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
body.wide { max-width: 52rem; }
header { margin-bottom: 2.5rem; font-weight: 700; }
header a { color: inherit; text-decoration: none; }
h1 { margin: 0 0 .75rem; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 2rem 0 .5rem; font-size: 1.2rem; }
a { color: var(--accent); }
label { display: block; margin-top: 1rem; font-weight: 600; }
input { width: 100%; min-height: 2.75rem; margin-top: .25rem; padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .375rem; background: transparent; color: inherit; font: inherit; }
.field { display: flex; gap: .5rem; align-items: flex-end; }
button, .button { display: inline-block; min-height: 2.75rem; padding: .55rem 1.15rem; border: 1px solid var(--accent); border-radius: .375rem; background: var(--accent); color: var(--page); font: inherit; font-weight: 600; text-decoration: none; cursor: pointer; }
button.plain { background: transparent; color: var(--accent); white-space: nowrap; }
button[disabled] { border-color: var(--line); background: transparent; color: var(--quiet); cursor: default; }
form > button, p > button { margin-top: 1rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.quiet { color: var(--quiet); font-size: .9375rem; }
.bad { color: var(--bad); }
.good { color: var(--good); }
[role=status]:empty { display: none; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: .9375rem/1.5 ui-monospace, monospace; }
article { border-top: 1px solid var(--line); }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .4rem .5rem .4rem 0; border-bottom: 1px solid var(--line); text-align: start; vertical-align: top; font-size: .9375rem; }
td:first-child { overflow-wrap: anywhere; }
[hidden] { display: none; }
`;
}
