import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { endDelivery } from '../src/database/deliveries.ts';
import { CANCELLED_DETAIL } from '../src/domain/delivery.ts';
import { webhookDeliveryRetry } from './failures.ts';

export type DeliveryRecords = ReturnType<typeof createDeliveryRecords>;

export function createDeliveryRecords({ db }: { db: ForgeflowDatabase }) {
  return {
    /** @returns false when it was over before, or is gone */
    async cancelDelivery(deliveryId: string): Promise<boolean> {
      try {
        return await endDelivery(db, deliveryId, 'cancelled', CANCELLED_DETAIL);
      } catch (error) {
        throw webhookDeliveryRetry(error);
      }
    },
  };
}
