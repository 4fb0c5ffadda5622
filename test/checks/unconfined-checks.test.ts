import { nastyChecks } from './nasty-checks.ts';

nastyChecks('none');
