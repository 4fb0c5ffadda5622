import { chapter, claim } from '../console.ts';
import type { Stage } from '../stage.ts';

const TARGETS = ['http://169.254.169.254/latest/meta-data', 'http://10.0.0.8:8080/admin', 'http://[::ffff:10.0.0.8]/'];

export async function tryInnerNetwork({ forgeflow }: Stage): Promise<void> {
  chapter('A subscription may not reach into the inner network');
  for (const url of TARGETS) {
    const refusal = await forgeflow.subscriptions.add({ name: 'spy', url, patterns: ['>'] }).then(
      () => 'it was let through',
      (error: unknown) => (error instanceof Error ? error.message : ''),
    );
    claim(`refused: ${refusal}`, refusal.includes('address not allowed'));
  }
}
