/** Answers that come line by line. */

/** The first step is awaited: what cannot be asked is a problem, and not a torn answer. */
export const streamed = async <S>(
  steps: AsyncGenerator<S>,
  lineOf: (step: S) => string,
): Promise<AsyncIterable<string>> => {
  let next = await steps.next();
  return (async function* () {
    for (; next.done !== true; next = await steps.next()) yield lineOf(next.value);
  })();
};
