import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readableOn } from '../../src/texts/contrast.ts';
import { ENGLISH } from '../../src/texts/english.ts';
import { Languages, languageOf } from '../../src/texts/languages.ts';
import { readTexts } from '../../src/texts/read-texts.ts';

function folderWith(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-texts-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

describe('The languages of mails and pages', () => {
  const languages = new Languages(['de', 'pt-BR', 'ar'].map((tag) => languageOf(tag, {})));

  const choices: [string, string][] = [
    ['de', 'de'],
    ['DE-at, en;q=0.8', 'de'],
    ['fr, pt-br;q=0.9, de;q=0.2', 'pt-BR'],
    ['en;q=0.1, de;q=0.9', 'de'],
    ['de;q=0, ar', 'ar'],
    ['pt', 'en'],
    ['*', 'en'],
    ['', 'en'],
    ['nonsense;;;, ;q=, <script>', 'en'],
    [`${'x-, '.repeat(5000)}de`, 'en'],
  ];
  for (const [preferences, tag] of choices) {
    it(`serve ${tag} to who asks for “${preferences.slice(0, 40)}”`, () => {
      assert.equal(languages.choose(preferences).tag, tag);
    });
  }

  it('know which are written from right to left', () => {
    assert.equal(languages.choose('ar').direction, 'rtl');
    assert.equal(languages.choose('de').direction, 'ltr');
  });
});

describe('The folder of texts', () => {
  it('changes English texts, and adds languages, with English for what they lack', () => {
    const { languages, problems, gaps } = readTexts(
      folderWith({
        'en.json': '{"mail.greeting": "Hi there,"}',
        'de-at.json': '{"mail.greeting": "Servus,", "mail.of_tomorrow": "x", "toString": "x"}',
        'notes.txt': 'nothing',
      }),
    );
    assert.deepEqual(problems, []);
    assert.equal(languages.choose('').texts['mail.greeting'], 'Hi there,');
    const austrian = languages.choose('de-AT').texts;
    assert.equal(austrian['mail.greeting'], 'Servus,');
    assert.equal(austrian['page.failed'], ENGLISH['page.failed']);
    assert.ok(gaps.some((gap) => /de-at.json: mail.of_tomorrow is not a text/.test(gap)));
    assert.ok(gaps.some((gap) => /de-at.json: toString is not a text/.test(gap)));
    assert.ok(gaps.some((gap) => /de-at.json: page.failed is missing/.test(gap)));
    assert.ok(gaps.every((gap) => !gap.includes('en.json')));
  });

  it('says everything that is wrong with it', () => {
    const { problems } = readTexts(
      folderWith({
        'german language.json': '{}',
        'de.json':
          '{"mail.greeting_by_name": "Hallo {nmae},", "mail.greeting": 7, "mail.happened": " "}',
        'fr.json': '{',
        'es.json': '[]',
      }),
    );
    for (const expected of [
      /german language\.json is not named by a language/,
      /de\.json: mail\.greeting_by_name has \{nmae\} to fill in, where the English one has \{name\}/,
      /de\.json: mail\.greeting is not a text/,
      /de\.json: mail\.happened is not a text/,
      /fr\.json can't be read/,
      /es\.json is not an object/,
    ]) {
      assert.ok(
        problems.some((problem) => expected.test(problem)),
        String(expected),
      );
    }
    assert.equal(problems.length, 6);
  });

  it('is said to be missing, or empty', () => {
    assert.match(readTexts('/nowhere').problems.join(), /can't be read/);
    assert.match(readTexts(folderWith({})).problems.join(), /has no file like de\.json/);
    assert.deepEqual(readTexts(undefined).problems, []);
  });
});

describe('The colour of a brand', () => {
  it('stays as it is where it can be read, and is made lighter or darker where it can’t', () => {
    assert.equal(readableOn('#ffffff', '#1f5fbf'), '#1f5fbf');
    assert.equal(readableOn('#ffffff', '#000000'), '#000000');
    const yellow = readableOn('#ffffff', '#ffee00');
    assert.notEqual(yellow, '#ffee00');
    assert.equal(readableOn('#16181d', '#ffee00'), '#ffee00');
    assert.notEqual(readableOn('#16181d', '#102040'), '#102040');
  });
});
