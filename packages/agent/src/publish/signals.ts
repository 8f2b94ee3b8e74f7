/** Ends what listens to a signal, all of it, and then the process, as if nobody had listened. */
type Stop = () => Promise<void>;

interface Watched {
  readonly stops: Set<Stop>;
  readonly handler: () => void;
}

/** One handler a signal: with one each, the quickest to stop would end the process under the others. */
const watched = new Map<NodeJS.Signals, Watched>();

/** `stop` resolves also when it fails. Returns how to listen no more; a signal that comes again then ends the process. */
export function stopAt(signal: NodeJS.Signals, stop: Stop): () => void {
  const own = watched.get(signal) ?? watch(signal);
  own.stops.add(stop);
  return () => {
    own.stops.delete(stop);
    if (own.stops.size > 0 || watched.get(signal) !== own) return;
    watched.delete(signal);
    process.removeListener(signal, own.handler);
  };
}

const watch = (signal: NodeJS.Signals): Watched => {
  const stops = new Set<Stop>();
  const handler = (): void => {
    const alone = process.listenerCount(signal) === 1;
    // A process that nobody else keeps alive ends by its signal.
    void Promise.all([...stops].map((stop) => stop())).then(() => alone && process.kill(process.pid, signal));
  };
  const own = { stops, handler };
  watched.set(signal, own);
  process.on(signal, handler);
  return own;
};
