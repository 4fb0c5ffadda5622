import { isGrpcServiceError, NamespaceNotFoundError, ServiceError } from '@temporalio/client';

const INVALID_ARGUMENT = 3; // of gRPC's codes

/** Whatever the server says, or does not say, but that it was asked for nonsense. */
export function isTemporalAway(error: unknown): boolean {
  // The namespace is made by somebody before long, as on a server that was set up anew.
  if (error instanceof NamespaceNotFoundError) return true;
  return error instanceof ServiceError && !isNonsenseToTemporal(error);
}

/** Whether the server was asked for something that it would not take later either. */
export function isNonsenseToTemporal(error: unknown): boolean {
  return (
    error instanceof ServiceError &&
    isGrpcServiceError(error.cause) &&
    (error.cause.code as number) === INVALID_ARGUMENT
  );
}
