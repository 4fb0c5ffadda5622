import { PassThrough, type Writable } from 'node:stream';
import { ByteReader } from './byte-reader.ts';
import { type Clone, startIn } from './clone.ts';
import { GitError } from './git-error.ts';
import { checkObjectIds } from './object-id.ts';
import { accepted } from './run.ts';

export interface Question<T> {
  about: T;
  /** Of the blob; null where the answer is known to be nothing, and only has to come in its turn. */
  id: string | null;
}

export interface Reply<T> {
  about: T;
  /** Null where nothing was asked. */
  sizeBytes: number | null;
  /** Null where it was not asked for. */
  content: Buffer | null;
}

const READ_AHEAD_BYTES = 1024 * 1024;
// No object has that id; git says so and goes on.
const NO_ID = '0'.repeat(40);

/**
 * Asks one `git cat-file` about many blobs, and gives its replies in the order of the questions. It asks ahead, as far
 * as the pipes hold: read slowly, git waits, and so does whoever asks.
 * @throws GitError `corrupt` where a blob is not there
 */
export async function* catFile<T>(clone: Clone, questions: AsyncIterable<Question<T>>): AsyncGenerator<Reply<T>> {
  // --buffer: else git writes each reply by itself.
  const running = startIn(clone, ['cat-file', '--batch', '--buffer'], { hasInput: true });
  const asked = new Queue<Question<T>>();
  const asking = ask(running.stdin, questions, asked);
  asking.catch(() => {
    running.end();
  });
  // Read ahead, so that git and whoever reads work at the same time.
  const ahead = running.stdout.pipe(new PassThrough({ highWaterMark: READ_AHEAD_BYTES }));
  const reader = new ByteReader(ahead as AsyncIterable<Buffer>);
  try {
    for (let header = await reader.line(); header !== null; header = await reader.line()) {
      const reply = await replyTo(asked.take(), header, reader);
      if (reply === null) break;
      yield reply;
    }
    await asking;
    accepted({ args: ['cat-file'] }, await running.ended);
    if (asked.length > 0) throw new GitError('failed', 'git cat-file: it ended before it had replied to all');
  } finally {
    running.end();
  }
}

/**
 * Asks one `git cat-file` about a few blobs whose sizes nobody knows, and gives the contents of those that are not too
 * large, in the order of the questions; null for the others.
 * @throws GitError `corrupt` where a blob is not there
 */
export async function* catFew<T>(
  clone: Clone,
  questions: readonly { about: T; id: string }[],
  limitBytes: number,
): AsyncGenerator<Reply<T>> {
  checkObjectIds(...questions.map(({ id }) => id));
  const running = startIn(clone, ['cat-file', '--batch-command', '--buffer'], { hasInput: true });
  const reader = new ByteReader(running.stdout.pipe(new PassThrough()) as AsyncIterable<Buffer>);
  const ask = (command: 'info' | 'contents', ids: readonly string[]): void => {
    // With its buffer, git does nothing before it is told to; so it takes all of this without one reply in its way.
    running.stdin?.write([...ids.map((id) => `${command} ${id}\n`), 'flush\n'].join(''));
  };
  const answer = async ({ about, id }: { about: T; id: string }, from: ByteReader | null): Promise<Reply<T>> => {
    const header = await reader.line();
    const reply = header === null ? null : await replyTo({ about, id }, header, from);
    if (reply !== null) return reply;
    accepted({ args: ['cat-file'] }, await running.ended);
    throw new GitError('failed', 'git cat-file: it ended before it had replied to all');
  };
  try {
    const sizes: Reply<T>[] = [];
    ask(
      'info',
      questions.map(({ id }) => id),
    );
    for (const question of questions) sizes.push(await answer(question, null));
    const isSmall = (at: number): boolean => (sizes[at]?.sizeBytes ?? Infinity) <= limitBytes;
    ask(
      'contents',
      questions.flatMap(({ id }, at) => (isSmall(at) ? id : [])),
    );
    running.stdin?.end();
    for (const [at, question] of questions.entries()) {
      yield isSmall(at) ? await answer(question, reader) : { about: question.about, sizeBytes: null, content: null };
    }
    accepted({ args: ['cat-file'] }, await running.ended);
  } finally {
    running.end();
  }
}

/** @param contents null where none come after the header */
async function replyTo<T>(
  question: Question<T> | undefined,
  header: string,
  contents: ByteReader | null,
): Promise<Reply<T> | null> {
  const [id, type, size] = header.split(' ');
  if (question === undefined || id !== (question.id ?? NO_ID)) {
    throw new GitError('failed', 'git cat-file: it replied out of turn');
  }
  const { about } = question;
  if (question.id === null) return { about, sizeBytes: null, content: null };
  if (type !== 'blob') throw new GitError('corrupt', `git cat-file: the clone has no blob ${question.id}`);
  const sizeBytes = Number(size);
  if (contents === null) return { about, sizeBytes, content: null };
  const content = await contents.bytes(sizeBytes);
  return content !== null && (await contents.skip(1)) ? { about, sizeBytes, content } : null;
}

async function ask<T>(
  stdin: Writable | null,
  questions: AsyncIterable<Question<T>>,
  asked: Queue<Question<T>>,
): Promise<void> {
  try {
    for await (const question of questions) {
      if (question.id !== null) checkObjectIds(question.id);
      if (stdin?.writable !== true) return; // git has ended, and says why
      asked.add(question);
      if (!stdin.write(`${question.id ?? NO_ID}\n`)) await drained(stdin);
    }
  } finally {
    stdin?.end();
  }
}

/** Or closed, because git has ended. */
async function drained(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stdin.off('drain', done).off('close', done);
      resolve();
    };
    stdin.on('drain', done).on('close', done);
  });
}

/** Unlike an array's `shift`, taking from it costs the same however long it is. */
class Queue<T> {
  #items: T[] = [];
  #taken = 0;

  get length(): number {
    return this.#items.length - this.#taken;
  }

  add(item: T): void {
    this.#items.push(item);
  }

  take(): T | undefined {
    const item = this.#items[this.#taken];
    if (this.length > 0) this.#taken += 1;
    if (this.#taken > 1024) {
      this.#items = this.#items.slice(this.#taken);
      this.#taken = 0;
    }
    return item;
  }
}
