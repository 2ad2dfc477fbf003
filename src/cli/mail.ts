import { parseArgs } from 'node:util';
import { readConfig } from '../config.ts';
import type { RenderedMail } from '../mail/compose.ts';
import { EXAMPLE_MAILS } from '../mail/example-mails.ts';
import { type Mail, renderMail } from '../mail/templates.ts';
import { ENGLISH } from '../texts/english.ts';
import { readTexts } from '../texts/read-texts.ts';
import { EXIT, type Io, print } from './io.ts';

export const MAIL_USAGE = `  mail      see what people are sent, with COUNTERSIGN_BRAND_… and COUNTERSIGN_TEMPLATES_DIR
              preview [NAME] [--language TAG] [--html]
                        print a mail, or all of them, and what the texts lack; 65: they can't be used
              texts                             print the English texts, for a translation
`;

type Values = { language: string; html: boolean; json: boolean };

/** Prints mails as they would be sent. Returns the exit code. */
export async function mailCommand(io: Io, args: readonly string[]): Promise<number> {
  const asked = parse(args);
  if (!asked) return print(io.err, `Usage: countersign mail …\n\n${MAIL_USAGE}`, EXIT.usage);
  const { action, names, values } = asked;
  if (action === 'texts') return print(io.out, `${JSON.stringify(ENGLISH, null, 2)}\n`, EXIT.ok);
  return preview(io, names, values);
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        language: { type: 'string', default: '' },
        html: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const [action = '', name, ...more] = positionals;
    const known = EXAMPLE_MAILS.map(({ template }): string => template);
    const isUnknown = name !== undefined && !known.includes(name);
    if (more.length > 0 || isUnknown || !['preview', 'texts'].includes(action)) return undefined;
    return { action, names: name === undefined ? known : [name], values };
  } catch {
    return undefined;
  }
}

function preview(io: Io, names: readonly string[], { language, html, json }: Values): number {
  const config = readConfig(io.env, io.readFile);
  const { languages, problems, gaps } = readTexts(config.templatesDir);
  for (const line of [...problems, ...gaps]) io.err(`${line}\n`);
  if (problems.length > 0) return EXIT.badData;
  const publicUrl = config.publicUrl ?? 'http://127.0.0.1:8080';
  const mails = EXAMPLE_MAILS.filter(({ template }) => names.includes(template)).map((mail) => ({
    name: mail.template,
    ...renderMail({ ...mail, locale: language } as Mail, { ...config, publicUrl, languages }),
  }));
  if (json) return print(io.out, `${JSON.stringify(mails)}\n`, EXIT.ok);
  const shown = mails.map((mail) => (html ? mail.html : asText(mail)));
  return print(io.out, shown.join('\n'), EXIT.ok);
}

function asText({ name, subject, text }: RenderedMail & { name: string }): string {
  return `--- ${name}\nSubject: ${subject}\n\n${text}`;
}
