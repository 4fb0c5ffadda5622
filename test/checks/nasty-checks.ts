import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from 'vitest';
import type { Confinement } from '../../src/checks/launch.ts';
import { commandsWith, testIn } from './check-world.ts';

const SOON = { timeMs: 700 };

/** What plugins do to whoever runs them; each test has a world of its own, so that many can be at work. */
export function nastyChecks(confinement: Confinement): void {
  const inWorld = testIn(confinement);
  describe.concurrent('U4a: nothing is left of a check', () => {
    inWorld('that hangs', async ({ world, expect }) => {
      const outcome = await world.run(`sleep ${world.token}`, { limits: SOON });
      expect(outcome).toMatchObject({ failure: 'timeout', reason: 'was not done within 0.7 s' });
    });

    inWorld('that hangs and does not hear the polite signal, nor does its child', async ({ world, expect }) => {
      const deaf = `trap '' TERM INT HUP; sh -c 'sleep ${world.token}' & sleep ${world.token}; sleep ${world.token}`;
      expect(await world.run(deaf, { limits: SOON })).toMatchObject({ failure: 'timeout' });
    });

    inWorld('that tidies up on the polite signal', async ({ world, expect }) => {
      const tidy = `trap 'echo tidied >&2; exit 0' TERM; sleep ${world.token} & wait`;
      const outcome = await world.run(tidy, { limits: { timeMs: 2_500, graceMs: 20_000 } });
      expect(outcome).toMatchObject({ failure: 'timeout', printed: expect.stringMatching(/^tidied/) as string });
    });

    inWorld(
      'that leaves processes behind: in its group, out of it, out of its session, without its environment',
      async ({ world, expect }) => {
        const { token } = world;
        const outcome = await world.run(
          `sleep ${token} & setsid sleep ${token} & (setsid sh -c 'setsid sleep ${token} &') &
       env -i setsid sleep ${token} >/dev/null 2>&1 & (cd / && exec env -i PATH="$PATH" setsid sh -c 'sleep ${token} & sleep ${token}') &
       sh -c 'ulimit -t 100; exec setsid sleep ${token}' &
       sleep 0.2; exit 4`,
        );
        expect(outcome).toMatchObject({ failure: 'exit_code', reason: 'ended with exit code 4' });
      },
    );

    inWorld('that brings itself up again and again', async ({ world, expect }) => {
      const again = `cat >again.sh <<'END'
      trap '' TERM
      sleep 0.01
      setsid sh ./again.sh ${world.token} &
      setsid sh ./again.sh2 ${world.token} 2>/dev/null
END
      sh again.sh ${world.token} & sleep 0.3; exit 4`;
      expect(await world.run(again)).toMatchObject({ failure: 'exit_code' });
    });

    inWorld('that forks without end', async ({ world, expect }) => {
      const bomb = `i=0; while [ $i -lt 60 ]; do setsid sleep ${world.token} & i=$((i + 1)); done; wait`;
      const outcome = await world.run(bomb, { limits: { processes: 20 } });
      // Where the kernel counts, the shell cannot fork any more; else we do.
      expect(outcome).toMatchObject({ kind: 'failed' });
      if (process.getuid!() === 0) expect(outcome).toMatchObject({ failure: 'process_limit' });
    });

    inWorld('that prints without end, to either stream', async ({ world, expect }) => {
      for (const stream of [1, 2]) {
        const before = process.memoryUsage.rss();
        const outcome = await world.run(`trap '' PIPE; yes ${world.token} >&${stream}; yes >&${stream}`, {
          limits: { outputBytes: 200_000 },
        });
        expect(outcome).toMatchObject({ failure: 'output_limit', reason: 'printed more than 200000 bytes' });
        expect(process.memoryUsage.rss() - before).toBeLessThan(150_000_000);
      }
    });

    inWorld('that fills the disk, with many files or one', async ({ world, expect }) => {
      const many = 'i=0; while head -c 200000 /dev/zero >"$TMPDIR/$i"; do i=$((i + 1)); sleep 0.01; done';
      const limits = { diskBytes: 2_000_000, fileBytes: 500_000 };
      expect(await world.run(many, { limits })).toMatchObject({ failure: 'disk_limit' });
      const one = await world.run('exec head -c 9000000 /dev/zero >big', { limits });
      expect(one).toMatchObject({ failure: 'disk_limit', reason: 'wrote a file of more than 500000 bytes' });
    });

    inWorld('that takes all memory, in one process or in several', async ({ world, expect }) => {
      const limits = { memoryBytes: 100_000_000 };
      // It keeps the last line, which does not end.
      const take = `{ head -c 60000000 /dev/zero; sleep ${world.token}; } | tail`;
      expect(await world.run(`${take} & ${take} & wait`, { limits })).toMatchObject({
        failure: 'memory_limit',
        reason: 'needed more than 100000000 bytes of memory',
      });
      const one = await world.run('tail </dev/zero', { limits });
      expect(['memory_limit', 'exit_code']).toContain(one.kind === 'failed' && one.failure);
    });

    inWorld('that computes without end', async ({ world, expect }) => {
      const outcome = await world.run('while :; do :; done', { limits: { cpuSeconds: 1 } });
      expect(outcome).toMatchObject({ failure: 'cpu_limit', reason: 'needed more than 1 s of processor time' });
    });

    inWorld(
      'that leaves folders which nobody may enter, or which lie deeper than a path can say',
      async ({ world, expect }) => {
        const deep = `mkdir -p locked/in && touch locked/in/a && chmod 0 locked/in locked
      name=$(printf '%0200d' 0); i=0
      while [ $i -lt 30 ]; do mkdir $name && cd $name && i=$((i + 1)) || break; done; exit 4`;
        expect(await world.run(deep)).toMatchObject({ failure: 'exit_code', reason: 'ended with exit code 4' });
      },
    );

    inWorld('that is aborted, while it runs or before', async ({ world, expect }) => {
      const stop = new AbortController();
      const reason = new Error('a newer run');
      const running = world.run(`trap '' TERM; setsid sleep ${world.token} & sleep ${world.token}`, {
        signal: stop.signal,
      });
      while ((await commandsWith(`sleep\0${world.token}`)).length < 2) await sleep(20);
      stop.abort(reason);
      await expect(running).rejects.toBe(reason);
      await expect(world.run('true', { signal: stop.signal })).rejects.toBe(reason);
    });

    inWorld('whose checkout fails', async ({ world, expect }) => {
      const failure = new Error('no such commit');
      await expect(world.run('true', { checkOut: () => Promise.reject(failure) })).rejects.toBe(failure);
    });
  });
}
