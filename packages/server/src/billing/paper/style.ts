/** The look of an invoice in HTML: a screen of any width, light or dark, and A4. */

const light = '--paper:#fff;--ink:#1a2230;--soft:#5a6575;--rule:#d5dae1;--wash:#f4f6f8;--warn:#8a4b00;--stamp:#c0392b';
const dark =
  '--paper:#14181e;--ink:#e6eaf0;--soft:#a3adba;--rule:#353d48;--wash:#1d232b;--warn:#f0b35c;--stamp:#ff8a80';

export const style = `
:root{color-scheme:light dark;${light}}
*{box-sizing:border-box}
html{background:var(--paper);color:var(--ink);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
body{max-width:54rem;margin:0 auto;padding:1.5rem 1rem 2rem;overflow-wrap:anywhere}
header{display:flex;flex-wrap:wrap;justify-content:space-between;gap:.25rem 2rem;align-items:baseline;border-bottom:2px solid var(--ink);padding-bottom:.5rem}
h1{font-size:1.6rem;line-height:1.2;margin:0}
h2{font-size:.8rem;letter-spacing:.04em;color:var(--soft);margin:0 0 .15rem;font-weight:600}
p{margin:0}
small{color:var(--soft);font-size:.8rem}
.parties{display:grid;grid-template-columns:1fr 1fr auto;gap:1.25rem 2rem;margin:1.25rem 0}
.parties p:first-of-type{font-weight:600}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .9rem;margin:0;align-content:start}
dt{color:var(--soft)}dd{margin:0;max-width:20rem}
.notice{border:1px solid var(--rule);border-left:4px solid var(--warn);padding:.5rem .75rem;margin:1rem 0;background:var(--wash)}
.notice h2{color:var(--warn)}
table{width:100%;border-collapse:collapse}
th{text-align:left}
thead th{white-space:nowrap;font-size:.8rem;color:var(--soft);border-bottom:1px solid var(--ink);padding:.3rem .5rem .3rem 0}
td{vertical-align:top;padding:.45rem .5rem .45rem 0;border-top:1px solid var(--rule)}
.n{text-align:right;font-variant-numeric:tabular-nums;padding-right:0;padding-left:.75rem;overflow-wrap:normal}
td.q{overflow-wrap:anywhere}
.money{white-space:nowrap}
.account th{padding-top:1.1rem;font-size:1rem}
.plan th{padding:.7rem 0 .25rem;font-size:.85rem;color:var(--soft)}
.sub td{font-weight:600;background:var(--wash)}
.steps{display:grid;grid-template-columns:minmax(8rem,1fr) auto auto;gap:0 .9rem;font-size:.8rem;color:var(--soft);list-style:none;margin:.15rem 0 0;padding:0;max-width:32rem}
.steps li{display:contents}
.steps span+span{text-align:right;font-variant-numeric:tabular-nums}
.warn{color:var(--warn);font-size:.8rem}
.sums{margin:1rem 0 1.5rem auto;width:min(100%,28rem);break-inside:avoid}
.sums th{font-weight:400;padding:.3rem 0;border-top:1px solid var(--rule)}
.sums .total>*{font-weight:700;font-size:1.1rem;border-top:2px solid var(--ink)}
.sums .due>*{font-weight:700}
.block{margin:1rem 0;break-inside:avoid}
footer{border-top:1px solid var(--rule);margin-top:1.5rem;padding-top:.5rem;color:var(--soft);font-size:.75rem}
.stamp{position:fixed;inset:0;display:flex;align-items:center;justify-content:center;pointer-events:none;z-index:1;font:700 min(22vw,9rem)/1 system-ui,sans-serif;letter-spacing:.1em;color:var(--stamp);opacity:.13;transform:rotate(-28deg)}
@media screen and (prefers-color-scheme:dark){:root{${dark}}}
@media screen and (max-width:40rem){
.parties{grid-template-columns:1fr}
.lines thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.lines,.lines tbody,.lines .account,.lines .plan{display:block}
.lines .account th,.lines .plan th{display:block}
.lines .line,.lines .sub{display:grid;grid-template-columns:1.8rem minmax(0,1fr);border-top:1px solid var(--rule);padding:.4rem 0}
.lines td{border:0;padding:.05rem 0}
.lines .line td+td,.lines .sub td{grid-column:2}
.lines td.n{display:flex;justify-content:space-between;gap:1rem;padding:0}
.lines td.n:empty{display:none}
.lines td.n::before{content:attr(data-name);color:var(--soft);font-size:.8rem;font-weight:400;white-space:nowrap}
.steps{grid-template-columns:minmax(0,1fr) auto;gap:0 .6rem}
.steps span:first-child{grid-column:1/-1}
.steps span:nth-child(2){text-align:left;padding-left:.8rem}
}
@media print{
@page{size:A4;margin:16mm 15mm 18mm;@bottom-right{content:counter(page) " / " counter(pages);font:8pt system-ui,sans-serif}}
html{font-size:9.5pt}
body{max-width:none;padding:0}
thead{display:table-header-group}
tr,.notice{break-inside:avoid}
.account,.plan{break-after:avoid}
}
`
  .trim()
  .replaceAll('\n', '');
