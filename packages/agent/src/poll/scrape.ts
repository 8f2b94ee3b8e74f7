/** One page over HTTP, bounded in time and in bytes. */

export interface ScrapeAnswer {
  status: number;
  contentType: string;
  body: string;
}

export interface Scrape {
  /** Rejects when there is no whole answer within the bounds. */
  get(
    url: string,
    bounds: { timeoutMs: number; maxBytes: number; headers: Readonly<Record<string, string>>; signal?: AbortSignal },
  ): Promise<ScrapeAnswer>;
}

export const realScrape: Scrape = {
  async get(url, { timeoutMs, maxBytes, headers, signal }) {
    const limit = AbortSignal.timeout(timeoutMs);
    // A redirect could lead a key in the headers to another host.
    const answer = await fetch(url, {
      headers,
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    const parts: Uint8Array[] = [];
    let size = 0;
    if (answer.body)
      for await (const part of answer.body as AsyncIterable<Uint8Array>) {
        size += part.length;
        if (size > maxBytes) throw new Error(`the page is larger than ${maxBytes} bytes`);
        parts.push(part);
      }
    return {
      status: answer.status,
      contentType: answer.headers.get('content-type') ?? '',
      body: Buffer.concat(parts).toString('utf8'),
    };
  },
};
