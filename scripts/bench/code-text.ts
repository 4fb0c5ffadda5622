import { seededDice } from './pattern-mix.ts';

export interface CodeFile {
  path: string;
  content: string | Buffer;
}

type Dice = (sides: number) => number;

const VERBS =
  'get set add remove find list read write open close start stop create delete update make build parse render send receive load store check validate apply merge split encode decode sign verify map filter reduce group sort wait retry schedule cancel resolve reject emit watch bind mount format escape normalize compare clone copy move rename flush drain sync fetch publish subscribe connect accept';
const NOUNS =
  'user account project branch commit merge request review job queue worker task event delivery attempt hook token secret header payload body response server client session socket stream buffer chunk page cursor index table column row record entry field value key name path file folder tree blob object node edge graph list map set cache store state status error reason message signal timer clock date range limit offset count size length version schema migration query result option setting config policy rule pattern topic group member role permission scope team pipeline build artifact report coverage check runner image container volume network address port host domain route handler filter parser writer reader encoder decoder factory builder manager registry provider service adapter bridge gateway proxy lock lease batch window bucket shard replica snapshot backup archive';
const SENTENCES =
  'the of and a to in is that it for not with as on be at by this have from or one all but they what when which there can if so will its than then only other into more some could these two may do first any my now such like our over man me even most made after also did many before must through years where much way well down should because each just those people how too little state good very make world still own see men work long here get both between life being under never day same another know while last might us great old year off come since against go came right used take three';

const verbs = VERBS.split(' ');
const nouns = NOUNS.split(' ');
const words = SENTENCES.split(' ');
const KINDS = ['ts', 'ts', 'ts', 'tsx', 'js', 'go', 'py', 'md', 'json', 'yml', 'css', 'rb'];
const GLOBAL_NAMES = 60_000;
const NAMES_A_MODULE = 30;
const FILES_A_MODULE = 12;

const pick = <T>(from: readonly T[], dice: Dice): T => from[dice(from.length)]!;
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** A name as people make them; of all that are possible, some millions. */
function name(dice: Dice): string {
  const parts = [pick(verbs, dice), ...Array.from({ length: 1 + dice(3) }, () => pick(nouns, dice))];
  const style = dice(10);
  if (style < 6) return parts[0]! + parts.slice(1).map(capital).join('');
  if (style < 8) return parts.slice(1).map(capital).join('');
  return style < 9 ? parts.join('_') : parts.slice(1).join('_').toUpperCase();
}

/** Few of them are used everywhere, most hardly anywhere. */
function frequent<T>(from: readonly T[], dice: Dice): T {
  const place = dice(1_000_000) / 1_000_000;
  return from[Math.floor(from.length * place ** 4)]!;
}

/** The files of a repository that nobody wrote, the same in every run: names, sizes and words as in a large one. */
export function* generateCode(files: number, seed = 1): Generator<CodeFile> {
  const dice = seededDice(seed);
  const everywhere = Array.from({ length: GLOBAL_NAMES }, () => name(dice));
  let module = '';
  let local: string[] = [];
  for (let file = 0; file < files; file += 1) {
    if (file % FILES_A_MODULE === 0) {
      module = [
        'packages',
        pick(nouns, dice),
        `${pick(verbs, dice)}-${pick(nouns, dice)}-${file / FILES_A_MODULE}`,
      ].join('/');
      local = Array.from({ length: NAMES_A_MODULE }, () => name(dice));
    }
    const kind = dice(50) === 0 ? 'png' : pick(KINDS, dice);
    const path = `${module}/${pick(['src', 'lib', 'test', '.'], dice)}/${pick(verbs, dice)}-${pick(nouns, dice)}-${file % FILES_A_MODULE}.${kind}`;
    const bytes = sizeOf(dice);
    yield {
      path: path.replace('/./', '/'),
      content: kind === 'png' ? noise(bytes, dice) : text(bytes, { everywhere, local }, dice),
    };
  }
}

/** Half are smaller than 2.5 KB, the mean is about 6, one in a thousand above 100. */
function sizeOf(dice: Dice): number {
  const bell = Array.from({ length: 6 }, () => dice(1_000) / 1_000).reduce((sum, one) => sum + one, -3) * Math.SQRT2;
  return Math.min(300_000, Math.round(2_500 * Math.exp(1.3 * bell)));
}

interface Names {
  everywhere: readonly string[];
  local: readonly string[];
}

const LICENSE =
  '// Copyright the authors of this project.\n// Licensed under the Apache License, Version 2.0; you may not use this file except in compliance with it.\n\n';

function text(bytes: number, { everywhere, local }: Names, dice: Dice): string {
  const one = (): string => (dice(3) === 0 ? pick(local, dice) : frequent(everywhere, dice));
  const prose = (count: number): string => Array.from({ length: count }, () => frequent(words, dice)).join(' ');
  const lines = [
    LICENSE,
    ...Array.from({ length: 1 + dice(6) }, () => `import { ${one()}, ${one()} } from '../${one()}';`),
  ];
  let length = lines.reduce((sum, line) => sum + line.length + 1, 0);
  while (length < bytes) {
    const line = statement(dice, one, prose);
    lines.push(line);
    length += line.length + 1;
  }
  return `${lines.join('\n')}\n`;
}

function statement(dice: Dice, one: () => string, prose: (count: number) => string): string {
  switch (dice(10)) {
    case 0:
      return `\nexport async function ${one()}(${one()}: ${one()}, options = {}) {`;
    case 1:
      return `  // ${prose(6 + dice(10))}`;
    case 2:
      return `  if (${one()}.${one()} === '${prose(1 + dice(3))}') return null;`;
    case 3:
      return `    for (const item of ${one()}) await this.${one()}(item, ${dice(1_000)});`;
    case 4:
      return '  }\n';
    case 5:
      return `    throw new Error(\`${prose(4 + dice(6))}: \${${one()}}\`);`;
    default:
      return `  const ${one()} = ${one()}.${one()}(${one()}, { ${one()}: ${dice(100)} });`;
  }
}

function noise(bytes: number, dice: Dice): Buffer {
  return Buffer.from(Uint8Array.from({ length: Math.max(bytes, 8) }, () => dice(256)).fill(0, 0, 8));
}
