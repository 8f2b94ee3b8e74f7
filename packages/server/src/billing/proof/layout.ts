/**
 * What comes out now, in the layout of a final document that was made before it changed: that one stays as it was
 * written, and only what both say alike can be compared. Pure.
 */
import type { MeteredSeries } from '../../usage/metered.ts';
import { seriesDigest } from '../invoice/canonical.ts';
import type { InvoiceDocument, Line } from '../invoice/document.ts';

/**
 * Layout 1 (see InvoiceDocument). What counters' series were digested from then is not kept any more: their digests are
 * taken as they were written, where series and quantity are the same. Everything else is computed.
 */
export function inLayoutOf(
  stored: InvoiceDocument,
  now: InvoiceDocument,
  isCounter: (meter: string) => boolean,
): InvoiceDocument {
  if (stored.layout === now.layout) return now;
  const lines = now.lines.map((line, i): Line => {
    const series = isCounter(line.meter) ? digestedAs(stored.lines[i]?.series ?? [], line.series) : line.series;
    return { ...line, series, digest: seriesDigest(series, stored.layout) };
  });
  return { ...now, layout: stored.layout, lines };
}

/** A series may be there more than once: held, given away, and held again. */
function digestedAs(stored: readonly MeteredSeries[], now: readonly MeteredSeries[]): MeteredSeries[] {
  const left = [...stored];
  const found = now.map((one) => {
    const at = left.findIndex(({ series, quantity }) => series === one.series && quantity === one.quantity);
    return left.splice(at, at < 0 ? 0 : 1)[0] ?? one;
  });
  // Those of one series are in order of their digests, which were others then.
  const isAll = left.length === 0 && found.length === stored.length;
  return isAll ? [...stored] : found;
}
