import { DefaultLogger, type Logger } from '@temporalio/worker';

export interface LogLine {
  level: string;
  message: string;
  meta: Record<string, unknown>;
}

export interface RecordingLogger {
  logger: Logger;
  lines: LogLine[];
  /** The messages of these levels, in their order. */
  messages: (...levels: string[]) => string[];
}

/** A logger that keeps what it is told. */
export function recordingLogger(): RecordingLogger {
  const lines: LogLine[] = [];
  const logger = new DefaultLogger('TRACE', ({ level, message, meta = {} }) => {
    lines.push({ level, message, meta: { ...meta } });
  });
  return {
    logger,
    lines,
    messages: (...levels) => lines.filter(({ level }) => levels.includes(level)).map(({ message }) => message),
  };
}
