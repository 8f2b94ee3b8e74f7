import type * as Pdf from './pdf.ts';

export { linesCsv } from './csv.ts';
export { renderHtml } from './html.ts';
export type { NumberedDocument, Settled, Standing } from './standing.ts';

/** What draws and its fonts are loaded with the first PDF: they took a tenth of the start of a server. */
export const renderPdf: typeof Pdf.renderPdf = async (...given) => (await import('./pdf.ts')).renderPdf(...given);
