import { loadConfig } from '../../src/config.ts';
import { startIngressProcess } from '../../src/ingress/process.ts';
import { createLogger } from '../../src/logging.ts';

// An ingress in a process of its own, for tests that look at what it takes. It tells its address first, and then, whenever it is
// asked, the most memory that it had since it was asked before, in bytes; it ends with the process that started it.
const ingress = await startIngressProcess({
  config: loadConfig(),
  logger: createLogger('error'),
  host: '127.0.0.1',
  port: 0,
});
let most = 0;
setInterval(() => {
  most = Math.max(most, process.memoryUsage.rss());
}, 10);
process.on('message', () => {
  process.send?.(most);
  most = process.memoryUsage.rss();
});
process.on('disconnect', () => process.exit(0));
process.send?.(ingress.url);
