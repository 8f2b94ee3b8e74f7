/**
 * A host with two tenants: one guest's bridge ends in VNI 42, the other's in VNI 43, both over one wire.
 *
 *   guest 10.88.0.1 -- tap0 . br0 . vx0 \             / vx0 10.88.0.2
 *                                         tg0 === tg0
 *   other 10.89.0.1 -- tap1 . br1 . vx1 /             \ vx1 10.89.0.2
 */
import { execFileSync } from 'node:child_process';
import { LEFT_ADDRESS, RIGHT_ADDRESS } from './namespace.ts';
import { Overlay } from './overlay.ts';

export const SECOND = { guest: '10.89.0.1', far: '10.89.0.2' } as const;
const MAC = { guest: '02:00:00:00:89:01', far: '02:00:00:00:89:02' } as const;

export class TwoGuests extends Overlay {
  /** Namespace of the guest behind the SECOND. */
  readonly other: string;

  constructor(tag: string) {
    super(tag, 4);
    const { wire } = this;
    const other = `tgh-${tag}`;
    this.other = other;
    execFileSync('ip', ['netns', 'add', other], { timeout: 20_000 });
    for (const scope of ['all', 'default'])
      wire.in(other, 'sh', '-c', `echo 1 > /proc/sys/net/ipv6/conf/${scope}/disable_ipv6`);
    for (const [side, own, far] of [
      [wire.left, LEFT_ADDRESS, RIGHT_ADDRESS],
      [wire.right, RIGHT_ADDRESS, LEFT_ADDRESS],
    ] as const)
      this.#ip(
        side,
        `link add vx1 type vxlan id 43 local ${own} remote ${far} dstport 4789 dev ${wire.nic} nolearning`,
      );
    this.#ip(wire.left, 'link add br1 type bridge mcast_snooping 0');
    this.#ip(wire.left, `link add tap1 type veth peer name eth0 address ${MAC.guest} netns ${other}`);
    for (const port of ['vx1', 'tap1']) this.#ip(wire.left, `link set ${port} master br1`);
    for (const device of ['br1', 'vx1', 'tap1']) this.#ip(wire.left, `link set ${device} up`);
    this.#end(other, 'eth0', SECOND.guest, SECOND.far, MAC.far);
    this.#ip(wire.right, `link set vx1 address ${MAC.far}`);
    this.#end(wire.right, 'vx1', SECOND.far, SECOND.guest, MAC.guest);
  }

  #end(namespace: string, device: string, own: string, far: string, mac: string): void {
    this.#ip(namespace, `address add ${own}/24 dev ${device}`);
    this.#ip(namespace, `link set ${device} up`);
    this.#ip(namespace, `neigh replace ${far} lladdr ${mac} dev ${device} nud permanent`);
  }

  #ip(namespace: string, line: string): void {
    this.wire.in(namespace, 'ip', ...line.split(' '));
  }
}
