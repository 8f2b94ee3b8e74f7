/** The OpenAPI description without a server: the routes are registered on nothing and never called. */
import { pino } from 'pino';
import { loadConfig } from '../config.ts';
import { buildApp } from './app.ts';
import type { OpenApi } from './client-types.ts';
import type { Context } from './context.ts';

export const describeApi = async (version: string): Promise<OpenApi> => {
  const config = loadConfig({}, { env: {}, uid: 1, home: '/', cwd: '/', read: () => null });
  // Whatever a route would touch beyond these at registration time shows itself as an error here.
  const context = { config, version, logger: pino({ level: 'silent' }), aftermath: {} } as unknown as Context;
  const app = await buildApp(context);
  await app.ready();
  const description = app.swagger() as unknown as OpenApi;
  await app.close();
  return description;
};
