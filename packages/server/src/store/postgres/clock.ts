/** The one clock that SQL reads: of leases between servers, whose own clocks differ. ms since 1970. */
export const STORE_CLOCK = `floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`;
