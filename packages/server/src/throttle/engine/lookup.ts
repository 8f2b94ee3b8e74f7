/** Finds the counters of gates, and brings one at a time to `now`. */
import type { Cell } from '../../domain/limit/cell.ts';
import type { Limit } from '../../domain/limit/limit.ts';
import type { Calendar } from '../../domain/limit/period.ts';
import type { Instant } from '../../domain/window.ts';
import { type Bearing, bearingOf } from './bearing.ts';
import type { Counters } from './counters.ts';
import { Ready } from './ready.ts';
import { carryOver } from './reshape.ts';
import type { Gate, Prepared } from './types.ts';

/** The calendar of the gate at hand, read from the gate only when a period ends. */
class At {
  ready: Ready | null = null;
  i = 0;

  get calendar(): Calendar {
    return ((this.ready as Ready).gates[this.i] as Gate).calendar;
  }
}

export class Lookup {
  /** The cursor: on the counter that was looked at last. */
  readonly cell: Cell;
  private readonly counters: Counters;
  private readonly at = new At();
  private last: readonly Bearing[] = [];
  private readonly bearings = new WeakMap<Limit, Bearing>();

  constructor(counters: Counters) {
    this.counters = counters;
    this.cell = counters.cursor();
  }

  prepare(gates: readonly Gate[]): Ready {
    const places: number[] = [];
    const bearings = this.sameOrNew(gates);
    for (let i = 0; i < gates.length; i++) {
      const { account, subject } = gates[i] as Gate;
      const bearing = bearings[i] as Bearing;
      const slot = this.counters.slot(bearing, account, subject);
      places.push(slot, this.counters.tagFor(slot, bearing));
    }
    return new Ready(gates, bearings, places);
  }

  own(prepared: Prepared): Ready {
    if (prepared instanceof Ready) return prepared;
    throw new TypeError('gates that this engine has not prepared');
  }

  /** Moves the cursor to the gate's counter and the counter to `now`. */
  look(ready: Ready, i: number, now: Instant): Bearing {
    const bearing = ready.bearings[i] as Bearing;
    this.counters.point(this.cell, ready.slot(i), bearing.logs);
    if (!this.counters.isStill(this.cell, ready.tag(i))) this.find(ready, i, now);
    this.at.ready = ready;
    this.at.i = i;
    bearing.algorithm.roll(this.cell, bearing, this.at, now);
    return bearing;
  }

  lookAt(gate: Gate, now: Instant): Ready {
    const ready = this.prepare([gate]);
    this.look(ready, 0, now);
    return ready;
  }

  /** Back to a counter that was looked at for the same decision. */
  again(ready: Ready, i: number): Cell {
    this.counters.point(this.cell, ready.slot(i), (ready.bearings[i] as Bearing).logs);
    return this.cell;
  }

  /** The counter was freed since, or its limit has another rule now: it keeps what was used. */
  private find(ready: Ready, i: number, now: Instant): void {
    const bearing = ready.bearings[i] as Bearing;
    const gate = ready.gates[i] as Gate;
    const slot = this.counters.slot(bearing, gate.account, gate.subject);
    const before = this.counters.shape(slot);
    if (before.shape !== bearing.shape) {
      this.counters.point(this.cell, slot, before.logs || bearing.logs);
      const isSame = carryOver(this.cell, before, bearing, gate, now);
      this.counters.reshape(slot, bearing, isSame);
    }
    ready.moved(i, slot, this.counters.tagFor(slot, bearing));
    this.counters.point(this.cell, slot, bearing.logs);
  }

  /** The bearings of the gates; those of the call before when they are the same, for most calls meet the same limits. */
  private sameOrNew(gates: readonly Gate[]): readonly Bearing[] {
    const { last } = this;
    let same = last.length === gates.length;
    for (let i = 0; same && i < gates.length; i++) same = this.bearing((gates[i] as Gate).limit) === last[i];
    if (!same) this.last = gates.map(({ limit }) => this.bearing(limit));
    return this.last;
  }

  private bearing(limit: Limit): Bearing {
    let bearing = this.bearings.get(limit);
    if (bearing === undefined) {
      bearing = bearingOf(limit);
      this.bearings.set(limit, bearing);
    }
    return bearing;
  }
}
