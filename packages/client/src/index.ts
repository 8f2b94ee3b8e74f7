export { ApiError, Client, type ClientSettings, type OperationName, Unreachable } from './client.ts';
export type { Operations } from './generated.ts';
