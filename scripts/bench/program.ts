import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/**
 * A program of a bench in a process of its own, so that it does not take turns with others in one event loop.
 * @typeParam Answers what it answers, by question
 */
export interface Program<Answers> {
  /** One question at a time. @throws Error when the program has ended */
  ask<Question extends keyof Answers & string>(question: Question): Promise<Answers[Question]>;
  stop(): Promise<void>;
}

/** @param settings for the program to read with {@link programSettings} */
export async function startProgram<Answers>(file: `${string}-program.ts`, settings: object): Promise<Program<Answers>> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(settings)], {
    execArgv: ['--import', import.meta.resolve('tsx')],
  });
  const ended = once(child, 'exit');
  const nextWord = async (): Promise<unknown> => {
    const over = ended.then(() => {
      throw new Error(`${file} has ended too early`);
    });
    const [word] = (await Promise.race([once(child, 'message'), over])) as unknown[];
    return word;
  };
  await nextWord();
  return {
    async ask(question) {
      if (child.connected) child.send(question);
      return (await nextWord()) as Answers[typeof question];
    },
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** In the program itself: the settings that it was started with. */
export function programSettings(): unknown {
  return JSON.parse(process.argv[2] ?? '');
}

/** In the program itself: answers from now on, until its parent ends, however that ends. */
export function answerQuestions<Answers>(answers: {
  [Question in keyof Answers]: () => Answers[Question] | Promise<Answers[Question]>;
}): void {
  process.on('message', (question: keyof Answers) => {
    // One that fails ends the process, so that its parent hears of it.
    void Promise.resolve(answers[question]()).then((answer) => process.send?.(answer));
  });
  process.on('disconnect', () => process.exit());
  process.on('SIGINT', () => undefined); // Ctrl-C is the parent's to handle
  process.send?.('ready');
}
