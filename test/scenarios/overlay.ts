/**
 * A guest whose tap hangs on a bridge, and the bridge on a VXLAN over the wire between two hosts:
 *
 *   guest 10.88.0.1 -- tap0 . br0 . vx0 -- tg0 == tg0 -- vx0 10.88.0.2
 *        (guest ns)       (left ns)                (right ns)
 *
 * Neighbours are fixed and IPv6 is off but for the underlay that runs on it, so nothing but the test's datagrams flows.
 */
import { execFileSync } from 'node:child_process';
import { LEFT_ADDRESS, RIGHT_ADDRESS, Wire } from './namespace.ts';

export const OVERLAY = { guest: '10.88.0.1', far: '10.88.0.2' } as const;
const MAC = { guest: '02:00:00:00:88:01', far: '02:00:00:00:88:02' } as const;
const UNDERLAY = { 4: [LEFT_ADDRESS, RIGHT_ADDRESS], 6: ['fd77::1', 'fd77::2'] } as const;
const WIRE_MAC = { left: '02:00:00:00:77:01', right: '02:00:00:00:77:02' } as const;
/** Room for the headers: inner frames of 1,450 bytes must not be cut. */
const MTU = '1700';

export class Overlay {
  readonly wire: Wire;
  readonly guest: string;
  readonly #version: 4 | 6;

  constructor(tag: string, version: 4 | 6) {
    this.wire = new Wire(tag);
    this.guest = `tgg-${tag}`;
    this.#version = version;
    this.#build();
  }

  #build(): void {
    const { wire, guest } = this;
    for (const side of [wire.left, wire.right]) this.#ip(side, `link set ${wire.nic} mtu ${MTU}`);
    if (this.#version === 6) this.#raiseIpv6();
    const [left, right] = UNDERLAY[this.#version];
    this.#vxlan(wire.left, left, right);
    this.#vxlan(wire.right, right, left);

    execFileSync('ip', ['netns', 'add', guest], { timeout: 20_000 });
    this.#sysctl(guest, 'all', 'disable_ipv6', '1');
    this.#sysctl(guest, 'default', 'disable_ipv6', '1');
    this.#ip(wire.left, 'link add br0 type bridge mcast_snooping 0');
    this.#ip(wire.left, `link add tap0 type veth peer name eth0 address ${MAC.guest} netns ${guest}`);
    for (const port of ['vx0', 'tap0']) this.#ip(wire.left, `link set ${port} master br0`);
    for (const device of ['br0', 'vx0', 'tap0']) this.#ip(wire.left, `link set ${device} up`);
    this.#address(guest, 'eth0', OVERLAY.guest, OVERLAY.far, MAC.far);
    this.#ip(wire.right, `link set vx0 address ${MAC.far}`);
    this.#address(wire.right, 'vx0', OVERLAY.far, OVERLAY.guest, MAC.guest);
  }

  #vxlan(side: string, local: string, remote: string): void {
    this.#ip(
      side,
      `link add vx0 type vxlan id 42 local ${local} remote ${remote} dstport 4789 dev ${this.wire.nic} nolearning`,
    );
  }

  #address(namespace: string, device: string, own: string, other: string, mac: string): void {
    this.#ip(namespace, `address add ${own}/24 dev ${device}`);
    this.#ip(namespace, `link set ${device} up`);
    this.#ip(namespace, `neigh replace ${other} lladdr ${mac} dev ${device} nud permanent`);
  }

  #raiseIpv6(): void {
    const { wire } = this;
    const sides = [
      [wire.left, UNDERLAY[6][0], UNDERLAY[6][1], WIRE_MAC.right],
      [wire.right, UNDERLAY[6][1], UNDERLAY[6][0], WIRE_MAC.left],
    ] as const;
    for (const [side, own, other, mac] of sides) {
      this.#ip(side, `link set ${wire.nic} addrgenmode none`);
      // Multicast reports go out at once, so that they are over before anything is counted.
      this.#sysctl(side, wire.nic, 'mldv2_unsolicited_report_interval', '1');
      this.#sysctl(side, wire.nic, 'router_solicitations', '0');
      this.#sysctl(side, wire.nic, 'disable_ipv6', '0');
      this.#ip(side, `address add ${own}/64 dev ${wire.nic} nodad`);
      this.#ip(side, `neigh replace ${other} lladdr ${mac} dev ${wire.nic} nud permanent`);
    }
  }

  #ip(namespace: string, line: string): void {
    this.wire.in(namespace, 'ip', ...line.split(' '));
  }

  #sysctl(namespace: string, device: string, name: string, value: string): void {
    this.wire.in(namespace, 'sh', '-c', `echo ${value} > /proc/sys/net/ipv6/conf/${device}/${name}`);
  }
}
