/** A process of the `rls` bench: the same service and messages, with a constant for an answer. */
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { packages, RATE_LIMIT_SERVICE } from 'tollgate/throttle/rls/schema.js';

const answer = {
  overallCode: 'OK',
  statuses: [{ code: 'OK', currentLimit: { requestsPerUnit: 1000, unit: 'MINUTE', name: 'x' }, limitRemaining: 1 }],
};
const server = new Server();
server.addService(packages()[RATE_LIMIT_SERVICE] as ServiceDefinition, {
  ShouldRateLimit: (_call: unknown, done: (error: null, response: object) => void) => done(null, answer),
});
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send?.({ port });
});
