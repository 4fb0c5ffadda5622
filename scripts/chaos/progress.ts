import { SingleBar } from 'cli-progress';

export interface Progress {
  update(now: { sent: number; arrived: number; kills: number }): void;
  stop(): void;
}

/** A line on stderr that goes on as the run does; nothing where no person looks on. */
export function showProgress(totals: { events: number; deliveries: number }): Progress {
  const { events, deliveries } = totals;
  const bar = new SingleBar({
    format: `{bar} {sent}/${events} sent, {value}/${deliveries} arrived, {kills} workers killed`,
    hideCursor: true,
    stream: process.stderr,
  });
  bar.start(deliveries, 0, { sent: 0, kills: 0 });
  return {
    update({ sent, arrived, kills }) {
      bar.update(arrived, { sent, kills });
    },
    stop() {
      bar.stop();
    },
  };
}
