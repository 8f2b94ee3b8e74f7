/** Accounts; plans, subscriptions, limits: who may use how much; entities, taxes, coupons, add-ons: who pays what. One turn for all. */
import { accountRoutes } from './accounts.ts';
import { addOnRoutes } from './add-ons.ts';
import { discountRoutes } from './billing-coupons.ts';
import { partyRoutes } from './billing-parties.ts';
import { taxRoutes } from './billing-taxes.ts';
import { blockRoutes } from './blocks.ts';
import { newTurn } from './catalogue-change.ts';
import type { Context } from './context.ts';
import { limitRoutes } from './limits.ts';
import { overrideRoutes } from './overrides.ts';
import { planRoutes } from './plans.ts';
import type { App } from './provider.ts';
import { rlsRoutes } from './rls.ts';
import { subscriptionRoutes } from './subscriptions.ts';

export const catalogueRoutes = (app: App, context: Context): void => {
  const turn = newTurn();
  for (const routes of [
    accountRoutes,
    planRoutes,
    subscriptionRoutes,
    overrideRoutes,
    limitRoutes,
    blockRoutes,
    rlsRoutes,
    partyRoutes,
    taxRoutes,
    discountRoutes,
    addOnRoutes,
  ])
    routes(app, context, turn);
};
