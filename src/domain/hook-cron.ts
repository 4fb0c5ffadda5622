const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const DAYS = 'sun mon tue wed thu fri sat'.split(' ');

/** The five fields of a crontab's line: minute, hour, day of the month, month, day of the week (7 is Sunday too). */
const FIELDS: readonly { least: number; most: number; names?: readonly string[] }[] = [
  { least: 0, most: 59 },
  { least: 0, most: 23 },
  { least: 1, most: 31 },
  { least: 1, most: 12, names: ['', ...MONTHS] },
  { least: 0, most: 7, names: DAYS },
];

/** Whether these are five fields that Temporal takes: each a list of `*`, values and ranges, with steps (`*`/10, 8-18/2). */
export function isCron(text: string): boolean {
  const fields = text.trim().split(/\s+/);
  return fields.length === FIELDS.length && FIELDS.every((field, index) => isField(fields[index] ?? '', field));
}

function isField(text: string, { least, most, names = [] }: (typeof FIELDS)[number]): boolean {
  const valueOf = (word: string): number => (/^\d+$/.test(word) ? Number(word) : names.indexOf(word.toLowerCase()));
  const isValue = (value: number): boolean => value >= least && value <= most;
  return text.split(',').every((part) => {
    const [range = '', step, ...more] = part.split('/');
    if (more.length > 0 || (step !== undefined && !/^[1-9]\d*$/.test(step))) return false;
    if (range === '*') return true;
    const [from = -1, to = from, ...others] = range.split('-').map(valueOf);
    return others.length === 0 && isValue(from) && isValue(to) && from <= to;
  });
}
