/** Lets requests, commits and signals in between: thousands of asks are seconds of work. */
export const breath = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
