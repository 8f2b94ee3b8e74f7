/** Tunnels in the settings file: what they become, and what is refused, with its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, loadAgentConfig } from './config.ts';

const FILE = '/conf/agent.yaml';
const load = (yaml: string) =>
  loadAgentConfig(
    { file: FILE },
    { env: {}, hostname: 'edge1', cwd: '/here', read: (path) => (path === FILE ? yaml : null), mode: () => null },
  );
const problemsOf = (yaml: string): string[] => {
  try {
    load(yaml);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map((problem) => problem.replace(`${FILE}:`, ''));
  }
  return [];
};

const both = {
  bytes: ['network.bytes.received', 'network.bytes.sent'],
  packets: ['network.packets.received', 'network.packets.sent'],
};

test('without tunnels none is watched; the shortest one says what is inside and what is outside', () => {
  assert.deepEqual(load('').tunnels, []);
  assert.deepEqual(load('tunnels:\n  - { name: vx42, payload: "tap*", underlay: eth1 }\n').tunnels, [
    {
      tunnel: 'vx42',
      rule: { kind: 'vxlan', outer: 4 },
      method: 'measured',
      poller: 'linux',
      payload: [{ poller: 'linux', objects: ['tap*'], ...both }],
      underlay: [{ poller: 'linux', objects: ['eth1'], ...both }],
    },
  ]);
});

const NFT = 'pollers: [{ kind: nft, name: rules, wirePackets: true }, { kind: linux }]\n';

test('a tunnel may be counted by any poller, in one direction, and modelled where packets are ones on the wire', () => {
  const tunnel =
    '{ name: g, kind: nvgre, outer: 6, outerTags: 1, method: modelled, payload: [a, b], poller: rules, payloadDirections: sent }';
  assert.deepEqual(load(`tunnels: [${tunnel}]\n${NFT}`).tunnels, [
    {
      tunnel: 'g',
      rule: { kind: 'nvgre', outer: 6, outerTags: 1 },
      method: 'modelled',
      poller: 'rules',
      payload: [
        { poller: 'rules', objects: ['a', 'b'], bytes: ['network.bytes.sent'], packets: ['network.packets.sent'] },
      ],
      underlay: [],
    },
  ]);
});

const refused = (yaml: string, ...said: RegExp[]): void => {
  test(`refused: ${JSON.stringify(yaml)}`, () => {
    const problems = problemsOf(yaml);
    assert.equal(problems.length, said.length, problems.join('\n'));
    for (const [i, one] of said.entries()) assert.match(problems[i] ?? '', one);
  });
};

refused('tunnels: vx42', /^1:10: tunnels wants a list/);
refused('tunnels: [vx42]', /^1:11: a tunnel wants "name: \.\.\."/);
refused('tunnels: [{ payload: a, underlay: b }]', /^1:11: tunnels\.name is missing, wants a text of 1 to 64/);
refused('tunnels: [{ name: a/b, payload: a, underlay: b }]', /tunnels\.name: "a\/b" is refused, wants letters/);
refused('tunnels:\n- { name: a, payload: a, underlay: b }\n- { name: a, payload: a, underlay: b }', /^3:3: .* line 2/);
refused('tunnels: [{ name: a, kind: vxlam, payload: a, underlay: b }]', /^1:28: .*one of vxlan, nvgre, ipip/);
refused(
  'tunnels: [{ name: a, outer: 5, payload: a, underlay: b }]',
  /tunnels\.outer: "5" is refused, wants one of 4, 6/,
);
refused('tunnels: [{ name: a, outerTags: 3, payload: a, underlay: b }]', /a whole number from 0 to 2/);
refused('tunnels: [{ name: a, payload: [], underlay: b }]', /tunnels\.payload: wants at least one object/);
refused('tunnels: [{ name: a, payload: a }]', /tunnels\.underlay is missing: "measured" is underlay less payload/);
refused('tunnels: [{ name: a, playload: a, underlay: b }]', /payload is missing/, /did you mean "tunnels\.payload"/);
refused('tunnels: [{ name: a, payload: a, underlay: b, payloadDirections: in }]', /some of received, sent/);
refused(
  'tunnels: [{ name: a, payload: a, underlay: b, poller: nft }]',
  /^1:11: tunnels\.poller: there is no poller "nft"; known are linux/,
);
refused(
  'tunnels: [{ name: a, payload: a, method: modelled }]',
  /^1:11: tunnels\.method: "modelled" is refused, wants packets as they are on the wire: wirePackets: true/,
);
refused(
  'pollers: [{ kind: linux, name: tunnel }]\ntunnels: [{ name: a, payload: a, underlay: b, poller: tunnel }]',
  /^2:11: no poller may be called "tunnel"/,
);
