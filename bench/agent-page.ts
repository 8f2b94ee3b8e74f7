/** What both services of the bench answer with: a page of an API, 5 kB of JSON made for each request. */
const rows = Array.from({ length: 100 }, (_, i) => ({ id: i, name: `row ${i}`, tags: ['a', 'b'] }));

export const page = (path: string): string => JSON.stringify({ path, rows });
