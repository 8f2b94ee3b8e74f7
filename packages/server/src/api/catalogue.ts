/** Plans, subscriptions, overrides, limits and blocks: who may use how much. A file for each, and one turn for all. */
import { blockRoutes } from './blocks.ts';
import { newTurn } from './catalogue-change.ts';
import type { Context } from './context.ts';
import { limitRoutes } from './limits.ts';
import { simulateRoutes } from './limits-simulate.ts';
import { overrideRoutes } from './overrides.ts';
import { planRoutes } from './plans.ts';
import type { App } from './provider.ts';
import { rlsRoutes } from './rls.ts';
import { subscriptionRoutes } from './subscriptions.ts';

export const catalogueRoutes = (app: App, context: Context): void => {
  const turn = newTurn();
  for (const routes of [
    planRoutes,
    subscriptionRoutes,
    overrideRoutes,
    limitRoutes,
    blockRoutes,
    rlsRoutes,
    simulateRoutes,
  ])
    routes(app, context, turn);
};
