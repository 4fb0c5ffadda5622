const GROUPS = 100;
const PROJECTS_A_GROUP = 20;
const KINDS = ['push', 'tag_push', 'merge_request', 'note', 'issue', 'pipeline', 'job', 'release'];

/** The same numbers in every run (mulberry32). @returns whole numbers below the given one */
export function seededDice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * sides);
  };
}

/** Topics of a forge, `gitlab.<group>.<project>.<kind>`: 16,000 different ones. */
export function someTopics(count: number, dice: (sides: number) => number): string[] {
  return Array.from({ length: count }, () => ['gitlab', ...place(dice), kind(dice)].join('.'));
}

/** What people subscribe to there: most want one kind of event from one project, a few want everything. */
export function somePatterns(count: number, dice: (sides: number) => number): string[] {
  return Array.from({ length: count }, () => {
    const [group, project] = place(dice);
    const lot = dice(10_000);
    if (lot < 7_500) return `gitlab.${group}.${project}.${kind(dice)}`;
    if (lot < 9_000) return `gitlab.${group}.*.${kind(dice)}`;
    if (lot < 9_800) return `gitlab.${group}.${project}.>`;
    if (lot < 9_990) return `gitlab.${group}.>`;
    return lot < 9_999 ? `gitlab.*.*.${kind(dice)}` : 'gitlab.>';
  });
}

function place(dice: (sides: number) => number): [group: string, project: string] {
  return [`group${dice(GROUPS)}`, `project${dice(PROJECTS_A_GROUP)}`];
}

function kind(dice: (sides: number) => number): string {
  return KINDS[dice(KINDS.length)] ?? '';
}
