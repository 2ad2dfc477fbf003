import { it } from 'node:test';
import { assertNothingForged } from './identity-cases.ts';
import { type Setting, startChanged } from './setting.ts';

/** An Envoy that leaves the headers of clients alone, so that all depends on Countersign's answer. */
const careless = (text: string) =>
  text
    .replace('regex: "x[-_.]countersign[-_.].*"', 'regex: "x-nothing"')
    .replace('DROP_HEADER', 'ALLOW');

export function carelessEnvoyCases(setting: () => Setting): void {
  it('M01 gets nothing forged by what Countersign has Envoy remove', async () => {
    const changed = await startChanged(setting(), careless);
    await assertNothingForged(changed, ['1.1', '2'], ['/']);
  });

  it('M01 gets nothing forged by an Envoy that sends headers as bytes', async () => {
    const raw = 'encode_raw_headers: true\n                      status_on_error:';
    const changed = await startChanged(setting(), (text) =>
      careless(text).replace('status_on_error:', raw),
    );
    await assertNothingForged(changed, ['1.1', '2'], ['/']);
  });
}
