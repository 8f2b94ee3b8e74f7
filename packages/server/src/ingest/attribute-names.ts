/** The names of CloudEvents attributes, recognised in bytes. */
import { Range } from '../store/usage-store.ts';

/** What an attribute's name stands for: the column, or one of the words below. */
export const Name = { ...Range, time: 16, specversion: 17, data64: 18, other: 19 } as const;

export const nameBytes = ['source', 'id', 'type', 'subject', 'data', 'time', 'specversion', 'data_base64'].map(
  (name) => ({
    name,
    bytes: Buffer.from(name),
  }),
);
export const nameCode: Record<string, number> = {
  source: Name.source,
  id: Name.id,
  type: Name.type,
  subject: Name.subject,
  data: Name.data,
  time: Name.time,
  specversion: Name.specversion,
  data_base64: Name.data64,
};
export const columnName = (code: number): string => nameBytes.find(({ name }) => nameCode[name] === code)?.name ?? '';

function same(b: Buffer, start: number, want: Buffer): boolean {
  for (let k = 0; k < want.length; k++) if (b[start + k] !== want[k]) return false;
  return true;
}
const [SOURCE, ID, TYPE, SUBJECT, DATA, TIME, SPECVERSION, DATA64] = nameBytes.map((n) => n.bytes) as [
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
];

/** By length first: one comparison for every name that occurs in practice. */
export function nameAt(b: Buffer, start: number, end: number): number {
  switch (end - start) {
    case 2:
      return same(b, start, ID) ? Name.id : Name.other;
    case 4:
      if (same(b, start, TYPE)) return Name.type;
      if (same(b, start, TIME)) return Name.time;
      return same(b, start, DATA) ? Name.data : Name.other;
    case 6:
      return same(b, start, SOURCE) ? Name.source : Name.other;
    case 7:
      return same(b, start, SUBJECT) ? Name.subject : Name.other;
    case 11:
      if (same(b, start, SPECVERSION)) return Name.specversion;
      return same(b, start, DATA64) ? Name.data64 : Name.other;
    default:
      return Name.other;
  }
}

const word = (text: string): number => Buffer.from(text).readInt32LE(0);
const [ID__, TYPE_, TIME_, DATA_] = [word('id":'), word('type'), word('time'), word('data')];
const [SOUR, CE__, SUBJ, ECT_] = [word('sour'), word('ce":'), word('subj'), word('ect"')];
const [SPEC, VERS, ION_, QUOTE_COLON] = [word('spec'), word('vers'), word('ion"'), 0x3a22];

/** The value's place when the name at `i` is one of ours, written without escape and directly before its colon; else 0. */
let knownValue = 0;
export const valueOfKnown = (): number => knownValue;
export function knownName(four: DataView, i: number): number {
  knownValue = 0;
  switch (four.getInt32(i, true)) {
    case ID__:
      knownValue = i + 4;
      return Name.id;
    case TYPE_:
    case TIME_:
    case DATA_: {
      if (four.getUint16(i + 4, true) !== QUOTE_COLON) return Name.other;
      knownValue = i + 6;
      const first = four.getInt32(i, true);
      return first === TYPE_ ? Name.type : first === TIME_ ? Name.time : Name.data;
    }
    case SOUR:
      if (four.getInt32(i + 4, true) !== CE__) return Name.other;
      knownValue = i + 8;
      return Name.source;
    case SUBJ:
      if (four.getInt32(i + 4, true) !== ECT_ || four.getUint8(i + 8) !== 0x3a) return Name.other;
      knownValue = i + 9;
      return Name.subject;
    case SPEC:
      if (four.getInt32(i + 4, true) !== VERS || four.getInt32(i + 8, true) !== ION_) return Name.other;
      if (four.getUint8(i + 12) !== 0x3a) return Name.other;
      knownValue = i + 13;
      return Name.specversion;
    default:
      return Name.other;
  }
}
/** Bytes that knownName may look at behind the first. */
export const NAME_REACH = 14;
