import type { Client } from '@temporalio/client';
import type { Config } from '../config.ts';
import type { ForgeflowDatabase } from '../database/connection.ts';
import type { AddressGuard } from '../egress/address-guard.ts';
import type { Sealer } from '../secrets/sealer.ts';

/** What the parts of the client work with. */
export interface ClientContext {
  config: Config;
  db: ForgeflowDatabase;
  /** Made, and the SDK loaded, when it is first read. */
  readonly temporal: Client;
  sealer: Sealer;
  guard: AddressGuard;
}
