/** A document of layout 1 as it was made final, before there was another: what `worldOfLayout1` was billed by then. */
import { usage } from '../../invoice/testing/world.ts';
import { at, type BillingWorld, basic, openBilling } from '../../run/testing/world.ts';

export async function worldOfLayout1(): Promise<BillingWorld> {
  const world = await openBilling('2026-10-01T00:00');
  await world.account('acme');
  await world.append({ kind: 'owner', resource: 'nic', account: 'acme', from: 0 });
  await world.plan('basic', [...basic, usage('sent', '0.001', { meter: 'network.bytes.sent' })]);
  await world.subscribe('acme', 'basic', '2026-10-01');
  await world.tokens('acme', '2026-10-05', 10);
  const start = at('2026-10-05T14:01');
  await world.read(
    await world.series('nic'),
    [0n, 1n, 2n, 3n, 4n].map((n) => [start + Number(n) * 300_000, n * 1000n] as const),
  );
  await world.declare(at('2026-11-12'));
  await world.runAt('2026-11-12');
  return world;
}

/** INV-000002: 10 tokens of events, 4,000 bytes of a counter, and a fee. */
export const layout1 = {
  id: 2,
  digest: '55067908cf9734fcdc603c07fb9839cc454195316afc598dcb06e102fa8f057d',
  document: [
    '{"account":"acme","accounts":["acme"],"basis":[{"digest":"e02a9741bece7808da7db071355a508165cca0c2f0d21436de',
    '2b15e99d5cba47","kind":"plan","receipt":10},{"digest":"1880018ae74a75857d3b828fc496b0f778b2e7f51cac584dc9a43',
    '9e12263de44","kind":"subscription","receipt":11}],"buyer":{"address":[],"exemption":"","name":"acme","taxId"',
    ':""},"conventions":{"dayCount":"days","dueDays":14,"graceDays":3,"includedInPart":"full","leadingPart":"pror',
    'ate","minimumInPart":"prorated","rounding":"half-up","roundingPlace":"line","tiersAtChange":"continue","zero',
    'UsageFlat":"charge"},"corrects":"","currency":"EUR","decimals":2,"entity":"default","from":1790805600000,"fr',
    'ontier":19,"kind":"invoice","layout":1,"lines":[{"account":"acme","amount":"100","corrects":"","digest":"0ca',
    'ec096e88f249b1585a20e41ae253981b64dabd49af99aaeacf7fd77a44026","exact":"1","flags":["assumed"],"from":179080',
    '5600000,"key":"acme|basic|tokens|1790805600000|","kind":"usage","meter":"tokens","metered":"10","name":"toke',
    'ns","no":1,"plan":"basic","planVersion":1,"price":"tokens","quantity":"10","series":[{"digest":"159ad14499d8',
    '177698ad776372170811bffadc908c53d961001f7abbfa24cf3d","quantity":"10","series":67108865}],"state":"known","s',
    'teps":[{"amount":"1","price":"0.1","quantity":"10","text":"usage","unit":""}],"taxCategory":"","to":17934876',
    '00000,"unit":"{token}"},{"account":"acme","amount":"400","corrects":"","digest":"7b8d9f5ebd901d106279da4302a',
    '48d3ae4d99522c2cac87a48392eaa48558181","exact":"4","flags":["spread","unobserved"],"from":1790805600000,"key',
    '":"acme|basic|sent|1790805600000|","kind":"usage","meter":"network.bytes.sent","metered":"4000","name":"sent',
    '","no":2,"plan":"basic","planVersion":1,"price":"sent","quantity":"4000","series":[{"digest":"b2e1b6283da605',
    'd76f6b53431edfe1626822c5fc0347adecbf175961a4d1536b","quantity":"4000","series":134217729}],"state":"unobserv',
    'ed","steps":[{"amount":"4","price":"0.001","quantity":"4000","text":"usage","unit":""}],"taxCategory":"","to',
    '":1793487600000,"unit":"By"},{"account":"acme","ahead":true,"amount":"4900","corrects":"","digest":"","exact',
    '":"49","flags":[],"from":1793487600000,"key":"acme|basic|base|1793487600000|","kind":"fee","meter":"","meter',
    'ed":null,"name":"base","no":3,"plan":"basic","planVersion":1,"price":"base","quantity":"1","series":[],"stat',
    'e":"known","steps":[{"amount":"49","price":"49","quantity":"1","text":"fee","unit":null}],"taxCategory":"","',
    'to":1796079600000,"unit":""}],"net":"5400","reason":"","seller":{"address":[],"name":"Tollgate","payment":""',
    ',"taxId":""},"tax":"0","taxes":[],"to":1793487600000,"total":"5400","version":1,"zone":"Europe/Berlin"}',
  ].join(''),
};
