import { billingContract } from '../contract/billing-contract.ts';
import { controlContract } from '../contract/control-contract.ts';
import { controlModelState, openControlModel } from './control-model.ts';

for (const contract of [controlContract, billingContract])
  contract('the model', async () => {
    const state = controlModelState();
    return {
      store: openControlModel(state),
      again: async () => openControlModel(state),
      drop: async () => undefined,
    };
  });
