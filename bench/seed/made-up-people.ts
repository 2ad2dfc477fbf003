/** Made-up people, the same ones every time, with thousands of names and realistic addresses. */

const GIVEN =
  `Ada Agnieszka Ahmed Aiko Aisha Alejandro Amara Anders Anna Antoine Arjun Astrid Beatriz Benedikt Björn
  Camille Carlos Chen Chiara Chloé Dagmar Daniel Dmitri Eamon Elif Elena Emeka Emma Fatima Femi Fiona François
  Gabriela Giulia Grace Hana Hassan Helga Hugo Ingrid Isabel Ivan Jakub James Jana Jín João Jorge Julia Kaito
  Karim Katarzyna Kofi Lakshmi Lars Laura Layla Liam Linh Lucía Luka Magda Malik Maria Marta Matteo Mei Miguel
  Mina Mohammed Nadia Natalia Ngozi Nikolai Noah Nora Olga Oliver Omar Oskar Pablo Petra Priya Rafael Rania
  Robert Rosa Ruth Sakura Samuel Sandra Sara Sean Selma Siobhán Sofia Stefan Sven Tariq Teresa Thomas Tomás
  Uma Vera Viktor Wanjiru Wei Yara Yusuf Zeynep Zoë`.split(/\s+/);
const FAMILY_BEGINNINGS =
  'Ab Al Am Bar Bel Ber Bor Bran Car Cas Chen Dal Del Dor El Fal Fer Gar Gol Gran Had Hal Har Jan Kal Kar Kos Lam Lin Mal Mar Mor Nak Nor Ok Pal Par Ros Sal San Sok Tan Tor Val Ver Wal Yam Zim'.split(
    ' ',
  );
const FAMILY_MIDDLES = 'a ad al an ar as e el en er i il in ir o ol on or u ul un ur'.split(' ');
const FAMILY_ENDS =
  'berg by cott dez do ford gard ia iak ich ing ini ka ker ko la ley li ma mann mura ni no ova rez ro sen ska ski son ström ta ton va vić wood'.split(
    ' ',
  );
const MAIL_HOSTS = ['example.com', 'mail.example.com', 'example.org', 'post.example.net'];
const COMPANIES = 400;

export type Person = { email: string; displayName: string };

/** Returns the person with this number. No two people have the same address. */
export function madeUpPerson(number: number): Person {
  const pick = <T>(list: readonly T[], use: number): T =>
    list[mixed(number, use) % list.length] as T;
  const given = pick(GIVEN, 1);
  const family = pick(FAMILY_BEGINNINGS, 2) + pick(FAMILY_MIDDLES, 3) + pick(FAMILY_ENDS, 4);
  const [first, last] = [ascii(given), ascii(family)];
  const tag = number.toString(36);
  // The number at the end of the local part makes each address unique.
  const local = pick(
    [`${first}.${last}-${tag}`, `${first}_${tag}`, `${first[0]}${last}.${tag}`, `${last}_${tag}`],
    5,
  );
  const company = `company-${mixed(number, 7) % COMPANIES}.example`;
  const host = mixed(number, 6) % 3 === 0 ? company : pick(MAIL_HOSTS, 8);
  return { email: `${local}@${host}`, displayName: `${given} ${family}` };
}

/** Returns the form that a name has in an address. */
function ascii(name: string): string {
  return name
    .normalize('NFD')
    .replace(/[^A-Za-z]/g, '')
    .toLowerCase();
}

/** Returns a pseudo-random whole number that depends only on the two given. */
function mixed(number: number, use: number): number {
  let bits = Math.imul(number ^ (use * 0x9e3779b9), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
