import { chapter, claim, list } from '../console.ts';
import type { Stage } from '../stage.ts';

/** What somebody does by hand in GitLab is put right by the next check, here of those two repositories alone. */
export async function repairWebhooks({ forgeflow, gitlab, repositories, until }: Stage): Promise<void> {
  chapter('Somebody deletes one webhook and switches off the pushes of another');
  const [one, other] = [repositories[7]!, repositories[200]!];
  const [[deleted], [before]] = [gitlab.hooksOf(one), gitlab.hooksOf(other)];
  gitlab.removeHook(deleted!);
  gitlab.editHook(before!, { push_events: false, wiki_page_events: true });
  list([
    [one.path, 'has no webhook'],
    [other.path, 'tells of wiki pages, not of pushes'],
  ]);

  const [missing, changed] = await Promise.all(
    [one, other].map(({ path }) => forgeflow.installWebhooks({ repository: path })),
  );
  const [[made, ...surplus], [corrected, ...more]] = [gitlab.hooksOf(one), gitlab.hooksOf(other)];
  const [answer] = await gitlab.emit(one, 'push_events');
  claim(
    `${one.path} has one again, with a new token, and the ingress takes what it sends: ${answer?.status ?? 'nothing'}`,
    missing?.repaired === 1 &&
      made !== undefined &&
      made.token !== deleted?.token &&
      surplus.length === 0 &&
      answer?.status === 202,
  );
  const [otherAnswer] = await gitlab.emit(other, 'push_events');
  claim(
    `${other.path} tells of pushes again, by the webhook it had: ${otherAnswer?.status ?? 'nothing'}`,
    changed?.repaired === 1 &&
      corrected?.id === before?.id &&
      more.length === 0 &&
      corrected?.wiki_page_events === false &&
      otherAnswer?.status === 202,
  );
  // An event goes to whoever is subscribed when it is dispatched, and these two are not for those who come next.
  await until(async () => (await forgeflow.status()).backlog.events === 0);
}
