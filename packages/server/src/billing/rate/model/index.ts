/** From a model as data to the function that prices with it. */
import type { SimpleModel } from '../../../domain/price/price.ts';
import type { Pricer } from '../piece.ts';
import { blocks } from './blocks.ts';
import { graduated, graduatedPercentage } from './graduated.ts';
import { packaged } from './package.ts';
import { dynamic, perUnit } from './per-unit.ts';
import { percentage } from './percentage.ts';
import { volume } from './volume.ts';

/** Reads and checks every number of the model; throws RateError. */
export function pricerOf(model: SimpleModel): Pricer {
  switch (model.model) {
    case 'per_unit':
      return perUnit(model);
    case 'graduated':
      return graduated(model);
    case 'volume':
      return volume(model);
    case 'package':
      return packaged(model);
    case 'blocks':
      return blocks(model);
    case 'percentage':
      return percentage(model);
    case 'graduated_percentage':
      return graduatedPercentage(model);
    case 'dynamic':
      return dynamic(model);
  }
}
