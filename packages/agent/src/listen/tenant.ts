/**
 * Who a request belongs to. Rules are tried in order, the first that names a tenant wins.
 *
 * A header, a claim, a host or a path is what the client says, not what it has proved. Use a rule only where something in
 * front of this code (a gateway, the application's own check) refuses requests that lie.
 */
import type { IncomingMessage } from 'node:http';

/** One way to find the tenant of a request. */
export type TenantRule =
  /** Asked when a request ends: what middleware put on it is there. Of long ones and upgrades also at each step. */
  | ((request: IncomingMessage) => string | undefined)
  /** Value of a request header. */
  | { readonly header: string }
  /** Claim of the JWT in `Authorization: Bearer`, as a dotted path or a list of keys. Decoded, NOT verified. */
  | { readonly claim: string | readonly string[] }
  /** `<tenant>.example.com`: one label in the place of `<tenant>`. */
  | { readonly host: string }
  /** Host name (lower case, no port) to tenant. */
  | { readonly hosts: Readonly<Record<string, string>> }
  /** `/t/<tenant>/...`: the path begins like this, one segment in the place of `<tenant>`. Compared as it was sent. */
  | { readonly path: string };

/** `url` is the request's target as it came in: frameworks rewrite `request.url` while they route. */
export type Resolve = (request: IncomingMessage, url: string) => string | undefined;

const PLACE = '<tenant>';
const LONGEST_TOKEN = 16_384;
const [SLASH, QUESTION, HASH, PERCENT] = [47, 63, 35, 37];

const split = (pattern: string, kind: string): readonly [string, string] => {
  const [before, after, more] = pattern.split(PLACE);
  if (before === undefined || after === undefined || more !== undefined)
    throw new TypeError(`${kind} pattern ${JSON.stringify(pattern)} must contain ${PLACE} exactly once`);
  return [before, after];
};

const hostOf = (request: IncomingMessage): string => {
  const host = request.headers.host ?? '';
  const end = host.startsWith('[') ? host.indexOf(']') + 1 : host.indexOf(':');
  return (end > 0 ? host.slice(0, end) : host).toLowerCase().replace(/\.$/, '');
};

const byHost = (pattern: string): Resolve => {
  const [before, after] = split(pattern.toLowerCase(), 'host');
  return (request) => {
    const host = hostOf(request);
    if (host.length <= before.length + after.length || !host.startsWith(before) || !host.endsWith(after)) return;
    const label = host.slice(before.length, host.length - after.length);
    return label.includes('.') ? undefined : label;
  };
};

const byHosts = (hosts: Readonly<Record<string, string>>): Resolve => {
  const known = new Map(Object.entries(hosts).map(([host, tenant]) => [host.toLowerCase(), tenant]));
  return (request) => known.get(hostOf(request));
};

/** Of `http://host/path`, which proxies are sent, the path. */
const pathOf = (url: string): string =>
  url.startsWith('/') ? url : url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');

const decoded = (segment: string): string | undefined => {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
};

const byPath = (pattern: string): Resolve => {
  const [before, after] = split(pattern.replace(/\.\.\.$/, ''), 'path');
  if (!before.startsWith('/') || !before.endsWith('/') || !/^(\/|$)/.test(after))
    throw new TypeError(`path pattern ${JSON.stringify(pattern)}: ${PLACE} must be a whole segment`);
  return (_request, url) => {
    const path = pathOf(url);
    if (!path.startsWith(before)) return;
    let end = before.length;
    let isPlain = true;
    // By hand, once for each request: a regular expression costs five times as much.
    for (; end < path.length; end += 1) {
      const code = path.charCodeAt(end);
      if (code === SLASH || code === QUESTION || code === HASH) break;
      if (code === PERCENT) isPlain = false;
    }
    // `/t/acme` is as good as `/t/acme/`, so what ends a segment matches `/`.
    if (after.length > 1 && !path.startsWith(after, end)) return;
    const segment = path.slice(before.length, end);
    return isPlain ? segment : decoded(segment);
  };
};

const byHeader = (name: string): Resolve => {
  const key = name.toLowerCase();
  return (request) => {
    const value = request.headers[key];
    return (Array.isArray(value) ? value[0] : value)?.trim();
  };
};

const claimOf = (token: string, path: readonly string[]): string | undefined => {
  const start = token.indexOf('.') + 1;
  const end = token.indexOf('.', start);
  if (start === 0 || end < 0 || token.length > LONGEST_TOKEN) return;
  let value: unknown = JSON.parse(Buffer.from(token.slice(start, end), 'base64url').toString());
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return;
    value = (value as Record<string, unknown>)[key];
  }
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined;
  return typeof value === 'string' ? value : undefined;
};

const byClaim = (claim: string | readonly string[]): Resolve => {
  const path = typeof claim === 'string' ? claim.split('.') : claim;
  return (request) => {
    const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (bearer === undefined) return;
    try {
      return claimOf(bearer, path);
    } catch {
      // Not a JWT. The application will refuse it, or does not care.
      return undefined;
    }
  };
};

const compile = (rule: TenantRule): Resolve => {
  if (typeof rule === 'function') return (request) => rule(request);
  if ('header' in rule) return byHeader(rule.header);
  if ('claim' in rule) return byClaim(rule.claim);
  if ('host' in rule) return byHost(rule.host);
  if ('hosts' in rule) return byHosts(rule.hosts);
  return byPath(rule.path);
};

/** Throws TypeError for a pattern that can never match. What it returns throws only what a function rule throws. */
export const tenantResolver = (rules: TenantRule | readonly TenantRule[]): Resolve => {
  const resolvers = (Array.isArray(rules) ? (rules as readonly TenantRule[]) : [rules as TenantRule]).map(compile);
  const [first] = resolvers;
  if (first !== undefined && resolvers.length === 1) return (request, url) => first(request, url) || undefined;
  return (request, url) => {
    for (const resolve of resolvers) {
      const tenant = resolve(request, url);
      if (tenant !== undefined && tenant !== '') return tenant;
    }
    return undefined;
  };
};
