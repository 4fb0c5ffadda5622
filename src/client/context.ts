import type { Client } from '@temporalio/client';
import type { ForgeflowDatabase } from '../database/connection.ts';
import type { AddressGuard } from '../egress/address-guard.ts';
import type { Sealer } from '../secrets/sealer.ts';

/** What the parts of the client work with. */
export interface ClientContext {
  db: ForgeflowDatabase;
  temporal: Client;
  sealer: Sealer;
  guard: AddressGuard;
}
