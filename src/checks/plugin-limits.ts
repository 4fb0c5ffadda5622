import type { CheckPlugin } from '../domain/check-plugins.ts';
import type { CheckLimits } from './limits.ts';

const KIB = 1024;

type Limits = Omit<CheckPlugin, 'command' | 'env'>;

/** The limits of a plugin that has some of its own. What goes along with one of them grows and shrinks with it. */
export function limitsOf(plugin: Limits): Partial<CheckLimits> {
  const { timeLimitSeconds, memoryLimitMb, outputLimitKb, diskLimitMb, processes } = plugin;
  return {
    // Twice as much, as usual: a process may well keep two cores busy.
    ...(timeLimitSeconds !== undefined && { timeMs: timeLimitSeconds * 1000, cpuSeconds: 2 * timeLimitSeconds }),
    ...(memoryLimitMb !== undefined && { memoryBytes: memoryLimitMb * KIB * KIB }),
    ...(outputLimitKb !== undefined && { outputBytes: outputLimitKb * KIB, resultBytes: outputLimitKb * KIB }),
    ...(diskLimitMb !== undefined && { diskBytes: diskLimitMb * KIB * KIB, fileBytes: diskLimitMb * KIB * KIB }),
    ...(processes !== undefined && { processes }),
  };
}
