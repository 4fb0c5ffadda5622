import { z } from 'zod';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { readSince } from '../database/events.ts';
import type { Logger } from '../logging.ts';

export const CONTROL_TOPIC = 'system.webhook.control';

/** How much of a payload a notification carries, by the trigger on the table. */
const NOTIFIED_CHARACTERS = 1_000;

const order = z.object({ action: z.string() });

export interface ControlOptions {
  db: ForgeflowDatabase;
  logger: Logger;
  /** Called once, however often it is asked for. */
  onStop: () => void;
}

export interface Control {
  /** What was published on the topic just now. */
  heard: (payload: string) => void;
  /** Reads what was published since the last time, when perhaps nobody listened. */
  catchUp: () => void;
}

/** Obeys what is published on {@link CONTROL_TOPIC}: `{"action":"stop"}` and nothing else so far. */
export function createControl({ db, logger, onStop }: ControlOptions): Control {
  let stopping = false;
  let readUntil: Date | null = null; // what was meant for workers before this one is none of its business

  function obey(payload: string): void {
    const parsed = order.safeParse(parseJson(payload));
    if (!parsed.success || parsed.data.action !== 'stop') {
      logger.debug('an unknown control message is ignored');
    } else if (!stopping) {
      stopping = true;
      logger.info('the bus asks this worker to stop');
      onStop();
    }
  }

  function catchUp(): void {
    readSince(db, CONTROL_TOPIC, readUntil).then(
      ({ now, payloads }) => {
        readUntil = now;
        payloads.forEach(obey);
      },
      () => undefined, // the next time it is listened again
    );
  }

  return {
    heard(payload) {
      if (payload.length < NOTIFIED_CHARACTERS) obey(payload);
      else catchUp(); // it was cut off
    },
    catchUp,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
