/** What flags and states of usage mean, in a sentence for whoever pays. */
import type { FlagName, StateName } from '../../domain/record.ts';

export const flagSentences: Readonly<Record<FlagName, string>> = {
  spread: 'Usage between two readings on either side of a boundary was shared out by time.',
  inferredReset: 'A counter fell although no restart was reported; it was counted from zero.',
  unobserved: 'Unobserved: a part of this time was not seen and never will be. It is not in the quantity.',
  clamped: 'A clock at the source was wrong; times were set to the nearest possible ones.',
  gap: 'Readings were far apart: the quantity is exact, its time of day is not.',
  held: 'Readings were more than 35 days apart: usage between them is counted at the later one.',
  wrapped: 'A counter passed its highest value and began again; both parts are counted.',
  reset: 'A counter was restarted; what it had counted before and after is included.',
  setAside: 'A reading that contradicts others was set aside and is not counted.',
  assumed: 'The source does not report when it is complete; that was assumed after its usual delay.',
  inexactSource: 'The source sent numbers too large to be exact; the quantity may be off by one or more.',
};

export const stateSentences: Readonly<Record<StateName, string>> = {
  known: '',
  pending: 'Pending: usage of this time may still come.',
  quarantined: 'Quarantined: usage of this time is set aside until somebody decides about it.',
  unobserved: flagSentences.unobserved,
};
