/** Tunnels whose overhead is counted, and the options of each: a table, as of the settings. */
import { option } from './settings-pollers.ts';
import type { Spot } from './settings-tree.ts';
import type { Kinds, Setting } from './settings-values.ts';

const directions = ['received', 'sent'] as const;

export const tunnelOptions = {
  name: option('text', '', 'What it is called in resources, records and status', { max: 64, required: true }),
  kind: option('text', 'vxlan', 'Which headers it adds', { oneOf: ['vxlan', 'nvgre', 'ipip'] }),
  outer: option('text', '4', 'IP version of the underlay', { oneOf: ['4', '6'] }),
  outerTags: option('whole', 0, '802.1Q tags around the outer frame', { min: 0, max: 2 }),
  method: option('text', 'measured', 'Underlay less payload, or packets times headers', {
    oneOf: ['measured', 'modelled'],
  }),
  poller: option('text', 'linux', 'The poller that counts both sides, in one pass', { max: 64 }),
  payload: option('words', [], 'What the tenants’ packets are counted by: its objects, `*` at the end for any rest', {
    required: true,
  }),
  payloadDirections: option('words', directions, 'Directions that are added up', { oneOf: directions }),
  underlay: option(
    'words',
    [],
    'What the tunnel’s packets are counted by, and nothing else; needed to measure, a check where it is modelled',
  ),
  underlayDirections: option('words', directions, 'Directions that are added up', { oneOf: directions }),
} as const satisfies Record<string, Setting & { required?: boolean }>;

/** One tunnel as the file has it, and where it stands. */
export interface TunnelConfig {
  at: Spot;
  options: { [N in keyof typeof tunnelOptions]: Kinds[(typeof tunnelOptions)[N]['kind']] };
}
