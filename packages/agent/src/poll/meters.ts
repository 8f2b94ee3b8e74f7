/** The server's meters for bytes and packets, by direction. */
import { networkMeters } from '../collector.ts';

/** As the viewpoint that the poller declares sees it. */
export type Direction = 'received' | 'sent';

export const trafficMeters: Readonly<Record<Direction, { bytes: string; packets: string }>> = {
  received: { bytes: networkMeters.receivedBytes, packets: networkMeters.receivedPackets },
  sent: { bytes: networkMeters.sentBytes, packets: networkMeters.sentPackets },
};

/** Classes as they are written in names and comments -> traffic types of the server. */
const CLASSES: Readonly<Record<string, string>> = {
  public: 'public',
  guest: 'guest',
  'private-gw': 'private-gateway',
  'private-gateway': 'private-gateway',
  vpn: 'vpn',
  lb: 'public',
  mgmt: 'management',
  management: 'management',
  storage: 'storage',
};

/** undefined: no such class. */
export const trafficTypeOf = (name: string): string | undefined => CLASSES[name];
