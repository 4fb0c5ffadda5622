import pg from 'pg';

export interface ListenerOptions {
  url: string;
  channels: readonly string[];
  onNotification: (channel: string, payload: string) => void;
  /** It listens, at first or again: what was said before was not heard. */
  onListening: () => void;
  onLost: (error: Error) => void;
}

export interface Listener {
  stop(): Promise<void>;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 5_000;

/** Hears what is notified on channels of Postgres, on a connection of its own, which it makes anew whenever it breaks. */
export function startListener({ url, channels, onNotification, onListening, onLost }: ListenerOptions): Listener {
  let stopped = false;
  let current: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let delayMs = FIRST_DELAY_MS;
  let connecting = connect();

  async function connect(): Promise<void> {
    const client = new pg.Client({ connectionString: url, application_name: 'forgeflow relay', keepAlive: true });
    current = client;
    client.on('notification', ({ channel, payload }) => {
      onNotification(channel, payload ?? '');
    });
    client.on('error', (error) => {
      lost(client, error);
    });
    client.on('end', () => {
      lost(client, new Error('the connection was closed'));
    });
    try {
      await client.connect();
      for (const channel of channels) await client.query(`listen ${client.escapeIdentifier(channel)}`);
      delayMs = FIRST_DELAY_MS;
      onListening();
    } catch (error) {
      lost(client, error instanceof Error ? error : new Error('unknown fault'));
    }
  }

  function lost(client: pg.Client, error: Error): void {
    if (client !== current) return; // said already
    current = undefined;
    client.end().catch(() => undefined);
    if (stopped) return;
    onLost(error);
    timer = setTimeout(() => {
      connecting = connect();
    }, delayMs);
    delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
  }

  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await connecting;
      const client = current;
      current = undefined;
      await client?.end().catch(() => undefined);
    },
  };
}
