/** The heartbeat: 16 bytes, written in place, that bound what a crash can have cost. */
export interface Beat {
  /** All that was measured before this is in the log. ms since 1970. */
  coveredAt: number;
  /** The process was alive. */
  aliveAt: number;
}

export const beatBytes = ({ coveredAt, aliveAt }: Beat): Buffer => {
  const bytes = Buffer.alloc(16);
  bytes.writeDoubleLE(coveredAt, 0);
  bytes.writeDoubleLE(aliveAt, 8);
  return bytes;
};

/** A heartbeat that cannot be read says nothing. */
export const readBeat = (bytes: Buffer): Beat => {
  if (bytes.length !== 16) return { coveredAt: 0, aliveAt: 0 };
  const [coveredAt, aliveAt] = [bytes.readDoubleLE(0), bytes.readDoubleLE(8)];
  const sane = Number.isSafeInteger(coveredAt) && Number.isSafeInteger(aliveAt) && coveredAt <= aliveAt;
  return sane ? { coveredAt, aliveAt } : { coveredAt: 0, aliveAt: 0 };
};
