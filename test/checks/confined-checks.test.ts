import { test } from 'vitest';
import { confinements } from './check-world.ts';
import { nastyChecks } from './nasty-checks.ts';

if ((await confinements()).includes('namespaces')) nastyChecks('namespaces');
else test.skip('U4a: this machine cannot confine checks');
