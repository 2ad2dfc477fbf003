import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ENGLISH } from '../../src/texts/english.ts';
import { runCommand } from '../harness/command.ts';

const folderWith = (german: Record<string, string>) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-texts-'));
  writeFileSync(join(folder, 'de.json'), JSON.stringify(german));
  return folder;
};

describe('countersign mail', () => {
  it('prints a mail in a language, in the operator’s name', async () => {
    const texts = { ...ENGLISH, 'mail.greeting_by_name': 'Hallo {name},' };
    const env = {
      COUNTERSIGN_BRAND_NAME: 'Acme',
      COUNTERSIGN_PUBLIC_URL: 'https://id.acme.example',
      COUNTERSIGN_TEMPLATES_DIR: folderWith(texts),
    };
    const german = await runCommand(['mail', 'preview', 'invitation', '--language', 'de-CH'], env);
    assert.equal(german.code, 0);
    assert.match(german.text, /^--- invitation\nSubject: Your account is ready\n\nHallo Pat,\n/);
    assert.match(german.text, /https:\/\/id\.acme\.example\/reset-password#token=/);
    assert.match(german.text, /sent by Acme\./);
    const html = await runCommand(['mail', 'preview', 'invitation', '--html'], env);
    assert.match(html.text, /^<!doctype html>\n<html lang="en"/);
  });

  it('prints all of them, with nothing left to fill in', async () => {
    const { code, text } = await runCommand(['mail', 'preview', '--json'], {});
    assert.equal(code, 0);
    const mails = JSON.parse(text) as { name: string; text: string; html: string }[];
    assert.ok(mails.length >= 18);
    for (const { name, text, html } of mails) {
      assert.doesNotMatch(text, /[{}]|undefined/, name);
      assert.doesNotMatch(html, /[{}]|undefined/, name);
    }
  });

  it('says what texts lack, and which can’t be used', async () => {
    const lacking = { COUNTERSIGN_TEMPLATES_DIR: folderWith({}) };
    const answer = await runCommand(['mail', 'preview', 'invitation'], lacking);
    assert.equal(answer.code, 0);
    assert.match(answer.text, /de\.json: page\.failed is missing/);
    const wrong = { COUNTERSIGN_TEMPLATES_DIR: folderWith({ 'mail.footer': '{brnad}' }) };
    const refused = await runCommand(['mail', 'preview'], wrong);
    assert.equal(refused.code, 65);
    assert.match(refused.text, /mail\.footer has \{brnad\} to fill in/);
  });

  it('prints the English texts, which a translation begins with', async () => {
    const { code, text } = await runCommand(['mail', 'texts'], {});
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(text), ENGLISH);
  });

  it('does nothing else', async () => {
    for (const args of [[], ['preview', 'nothing'], ['send'], ['preview', 'invitation', 'x']]) {
      assert.equal((await runCommand(['mail', ...args], {})).code, 64, args.join(' '));
    }
  });
});
