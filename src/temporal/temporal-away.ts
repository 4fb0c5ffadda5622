import { isGrpcServiceError, ServiceError } from '@temporalio/client';

const INVALID_ARGUMENT = 3; // of gRPC's codes

/** Whatever the server says, or does not say, but that it was asked for nonsense. */
export function isTemporalAway(error: unknown): boolean {
  if (!(error instanceof ServiceError)) return false;
  return !(isGrpcServiceError(error.cause) && (error.cause.code as number) === INVALID_ARGUMENT);
}
