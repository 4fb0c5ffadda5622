import Table from 'cli-table3';
import pc from 'picocolors';
import { formatDelay } from '../domain/retry-policy.ts';

/** Prints a result: one JSON document for programs, else what `render` makes of it for people. */
export function print<T>(
  value: T,
  { json = false }: { json?: boolean | undefined },
  render: (value: T) => string,
): void {
  process.stdout.write(`${json ? JSON.stringify(value) : render(value)}\n`);
}

/** Rows under a head, in aligned columns; a sentence where there are none. */
export function table(head: string[], rows: string[][], whenEmpty: string): string {
  if (rows.length === 0) return whenEmpty;
  const lines = new Table({
    head: head.map((name) => pc.bold(name)),
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  lines.push(...rows);
  return trimEnds(lines.toString());
}

/** Names and values, one a line. */
export function fields(pairs: [string, string][]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${pc.dim(name.padEnd(width))}  ${value}`).join('\n');
}

/** A time for people: absolute and relative, `2026-11-24 20:01:07Z (5 min ago)`; a dash for none. */
export function time(iso: string | null, now = Date.now()): string {
  if (iso === null) return pc.dim('–');
  const distance = now - Date.parse(iso);
  const relative = distance >= 0 ? `${formatDelay(distance)} ago` : `in ${formatDelay(-distance)}`;
  return `${iso.slice(0, 19).replace('T', ' ')}Z ${pc.dim(`(${relative})`)}`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A size for people: `12.3 MiB`; a dash for none. */
export function size(bytes: number | null): string {
  if (bytes === null) return pc.dim('–');
  const step = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** step;
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[step] ?? ''}`;
}

const STATE_COLOURS: Record<string, (text: string) => string> = {
  delivered: pc.green,
  active: pc.green,
  pending: pc.yellow,
  paused: pc.yellow,
  tripped: pc.red,
  failed: pc.red,
  dead: pc.red,
  clean: pc.green,
  approved: pc.green,
  success: pc.green,
  behind: pc.yellow,
  review_required: pc.yellow,
  unknown: pc.yellow,
  dirty: pc.red,
  changes_requested: pc.red,
  failure: pc.red,
  held: pc.yellow,
  dropped: pc.red,
  errored: pc.red,
  waiting: pc.yellow,
  draft: pc.dim,
  running: pc.yellow,
  installed: pc.green,
  completed: pc.green,
  covered: pc.green,
  disabled: pc.red,
  not_found: pc.red,
  no_access: pc.red,
  invalid_credentials: pc.red,
  error: pc.red,
  cancelled: pc.dim,
};

export function state(name: string): string {
  return STATE_COLOURS[name]?.(name) ?? name;
}

const NO_BORDERS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((name) => [name, '']),
);

function trimEnds(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
