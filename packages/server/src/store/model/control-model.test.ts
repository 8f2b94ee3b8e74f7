import { controlContract } from '../contract/control-contract.ts';
import { controlModelState, openControlModel } from './control-model.ts';

controlContract('the model', async () => {
  const state = controlModelState();
  return {
    store: openControlModel(state),
    again: async () => openControlModel(state),
    drop: async () => undefined,
  };
});
