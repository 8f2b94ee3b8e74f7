/** An invoice as one HTML file: no script, nothing from elsewhere, every text escaped. */
import type { InvoiceDocument } from '../invoice/document.ts';
import type { Group } from './groups.ts';
import type { Row, StepRow } from './rows.ts';
import { type Block, sheetOf } from './sheet.ts';
import type { Standing } from './standing.ts';
import { style } from './style.ts';
import type { Sum } from './sums.ts';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => entities[c] ?? c);

/** A text in its own direction: a name written from right to left turns nothing round it. */
const own = (text: string): string => (ASCII.test(text) ? escaped(text) : `<bdi>${escaped(text)}</bdi>`);
const ASCII = /^[\x20-\x7e]*$/;

/** Should anything ever get past the escaping, a browser still loads and runs nothing. */
const policy = "default-src 'none'; style-src 'unsafe-inline'";

/** The whole file. Answers the same text for the same document and standing. */
export function renderHtml(document: InvoiceDocument, standing: Standing): string {
  const sheet = sheetOf(document, standing);
  const { title, stamp, notices, seller, buyer, facts, currency, groups, sums, closing, footer } = sheet;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<meta name="robots" content="noindex">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
${stamp === '' ? '' : `<div class="stamp" aria-hidden="true">${escaped(stamp)}</div>\n`}<header><h1>${own(title)}</h1><p>${own(seller.lines[0] ?? '')}</p></header>
<main>
${notices.map((notice) => `<section class="notice">${block(notice)}</section>\n`).join('')}<div class="parties">
<section>${block(seller)}</section>
<section>${block(buyer)}</section>
<dl>${facts.map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${own(value)}</dd>`).join('')}</dl>
</div>
${linesTable(groups, currency)}
<table class="sums"><tbody>
${sums.map(sumRow).join('\n')}
</tbody></table>
${closing.map((one) => `<section class="block">${block(one)}</section>`).join('\n')}
</main>
<footer>${own(footer)}</footer>
</body>
</html>
`;
}

const block = ({ title, lines }: Block): string =>
  `<h2>${own(title)}</h2>${lines.map((line) => `<p>${own(line)}</p>`).join('')}`;

const columnNames = (currency: string): string[] => ['No', 'What', 'Quantity', 'Unit price', `Amount ${currency}`];

/** The roles say again what the elements are, because a narrow screen shows the table as blocks. */
function linesTable(groups: readonly Group[], currency: string): string {
  const names = columnNames(currency);
  const heads = names.map(
    (name, i) => `<th scope="col" role="columnheader"${i < 2 ? '' : ' class="n"'}>${escaped(name)}</th>`,
  );
  const head = `<thead role="rowgroup"><tr role="row">${heads.join('')}</tr></thead>`;
  const bodies = groups.map((group) => groupBody(group, names));
  return `<table class="lines" role="table" aria-label="Lines">\n${head}\n${bodies.join('\n')}\n</table>`;
}

function groupBody({ account, title, rows, sum }: Group, names: readonly string[]): string {
  const parts = [
    account === '' ? '' : headingRow('account', account),
    title === '' ? '' : headingRow('plan', title),
    ...rows.map((row) => lineRow(row, names)),
    sum === null
      ? ''
      : `<tr class="sub" role="row"><td role="cell" colspan="4">${own(sum.text)}</td>${figure('money', names[4], sum.amount)}</tr>`,
  ];
  return `<tbody role="rowgroup">\n${parts.filter((part) => part !== '').join('\n')}\n</tbody>`;
}

const headingRow = (of: 'account' | 'plan', text: string): string =>
  `<tr class="${of}" role="row"><th scope="rowgroup" role="rowheader" colspan="5">${own(text)}</th></tr>`;

const figure = (kind: string, name: string | undefined, text: string): string =>
  `<td role="cell" class="n ${kind}" data-name="${escaped(name ?? '')}">${text === '' ? '' : `<span>${own(text)}</span>`}</td>`;

function lineRow(row: Row, names: readonly string[]): string {
  const what = [
    own(row.name),
    `<p><small>${own(row.span)}</small></p>`,
    row.steps.length === 0 ? '' : `<ul class="steps">${row.steps.map(stepItem).join('')}</ul>`,
    ...row.notes.map((note) => `<p><small>${own(note)}</small></p>`),
    ...row.warnings.map((warning) => `<p class="warn">${own(warning)}</p>`),
  ];
  const figures = [
    figure(wrapping(row.quantity), names[2], row.quantity),
    figure(wrapping(row.price), names[3], row.price),
  ];
  return `<tr class="line" role="row"><td role="cell">${row.no}</td><td role="cell">${what.join('')}</td>${figures.join('')}${figure('money', names[4], row.amount)}</tr>`;
}

/** Figures stay on one line unless they would push all else aside. */
const wrapping = (text: string): string => (text.length > 24 ? 'q' : 'money');

const stepItem = ({ text, reckoning, amount }: StepRow): string =>
  `<li><span>${own(text)}</span> <span>${own(reckoning)}</span> <span>${own(amount)}</span></li>`;

const sumRow = ({ text, note, amount, weight }: Sum): string =>
  `<tr class="${weight}"><th scope="row">${own(text)}${note === '' ? '' : `<br><small>${own(note)}</small>`}</th><td class="n money">${own(amount)}</td></tr>`;
