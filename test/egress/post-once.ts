// Posts once to argv[2] through the proxy argv[3] and prints the outcome; for tests that need a process of their own.
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';

const [url = '', proxy] = process.argv.slice(2);
const sender = createSender({ guard: createAddressGuard(['127.0.0.1']), timeoutMs: 5_000, proxy });
console.log(JSON.stringify(await sender.post({ url, headers: {}, body: '{}' })));
