/**
 * Returns the key of what is wrong with a password, as far as a page can know, and otherwise undefined. It
 * objects to nothing that the service accepts.
 */
export const PASSWORD_OBJECTION = `
function passwordObjection(password, min, max) {
  const characters = [...password.normalize('NFKC')];
  const count = characters.length;
  if (count < min) return 'too_short';
  if (count > max) return 'too_long';
  const text = characters.join('').toLowerCase();
  if (/^(.{1,4}?)\\1+$/su.test(text)) return 'repeated';
  const rows = ['01234567890', 'abcdefghijklmnopqrstuvwxyz', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'];
  const all = rows.flatMap((row) => [row, [...row].reverse().join('')]);
  const isStep = (a, b) => all.some((row) => row.includes(a + b));
  const letters = [...text];
  const breaks = letters.filter((letter, i) => i > 0 && !isStep(letters[i - 1], letter)).length;
  return breaks === 0 ? 'sequence' : undefined;
}`;

/** The token is in the fragment, which browsers do not send; the page posts it on a click. */
export const TOKEN_PAGE_SCRIPT = `
${PASSWORD_OBJECTION}
const main = document.querySelector('main');
const texts = JSON.parse(main.dataset.texts);
const form = document.querySelector('form');
const submit = document.querySelector('#submit');
const result = document.querySelector('#result');
const field = document.querySelector('#password');
const reason = document.querySelector('#reason');
const token = new URLSearchParams(location.hash.slice(1)).get('token');
history.replaceState(null, '', location.pathname);

const fill = (text, values) => text.replace(/\\{(\\w+)\\}/g, (whole, name) => values[name] ?? whole);
const tell = (place, text, kind) => {
  place.textContent = text;
  place.className = kind;
};
const { min, max } = texts;
const judge = () => {
  const count = [...field.value.normalize('NFKC')].length;
  const objection = passwordObjection(field.value, min, max);
  field.setAttribute('aria-invalid', String(count > 0 && objection !== undefined));
  if (count === 0) return tell(reason, '', '');
  const text = fill(texts[objection ?? 'long_enough'], { count, min, max });
  tell(reason, text, objection ? 'bad' : 'quiet');
};
const reasonOf = (error) => {
  const details = (error?.details ?? []).map(({ value }) => atob(value)).join();
  return Object.keys(texts.errors).find((name) => details.includes(name));
};
const sayWhy = (error) => {
  const known = texts.errors[reasonOf(error)];
  const [, why] = /^new_password (.*)$/s.exec(error?.message ?? '') ?? [];
  if (!field || !why) return tell(result, known ?? error?.message ?? texts.failed, 'bad');
  field.setAttribute('aria-invalid', 'true');
  tell(reason, fill(texts.refused, { reason: why }), 'bad');
  field.focus();
};

if (field) {
  field.addEventListener('input', judge);
  const show = document.querySelector('#show');
  show.addEventListener('click', () => {
    const isShown = field.type === 'text';
    field.type = isShown ? 'password' : 'text';
    show.textContent = isShown ? texts.show : texts.hide;
  });
}
submit.disabled = !token;
if (!token) tell(result, texts.no_token, 'bad');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (field && passwordObjection(field.value, min, max)) {
    judge();
    return field.focus();
  }
  submit.disabled = true;
  tell(result, '', '');
  const answer = await fetch(form.dataset.method, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...Object.fromEntries(new FormData(form)), token }),
  }).catch(() => undefined);
  if (!answer?.ok) {
    submit.disabled = false;
    return sayWhy(await answer?.json().catch(() => undefined));
  }
  form.hidden = true;
  tell(result, texts.done, 'good');
  document.querySelector('#next').hidden = false;
  result.focus();
});
`;
