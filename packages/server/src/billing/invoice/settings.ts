/** What all lines of one invoice are computed with. */
import type { Conventions } from '../../domain/billing/conventions.ts';

export interface Billed {
  currency: string;
  conventions: Conventions;
  accountOf(id: string): { id: string; name: string; zone: string; currency: string };
  /** The period is over: what is missing to minimum and commitment is due. Else it may still come. */
  closes: boolean;
}
