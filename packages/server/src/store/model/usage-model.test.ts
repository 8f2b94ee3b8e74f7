import { tmpdir } from 'node:os';
import { usageContract } from '../contract/usage-contract.ts';
import { UsageModel, usageModelState } from './usage-model.ts';

usageContract('the model', async () => {
  const state = usageModelState();
  return {
    store: new UsageModel(state),
    again: async () => new UsageModel(state),
    folder: tmpdir(),
    drop: async () => undefined,
  };
});
