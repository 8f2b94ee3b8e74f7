import { type OutcomeCode, outcomeCodes } from '@tollgate/event';

/**
 * One registry of every error code a person or a program can meet, long because there are many: it is read by looking one up.
 * Codes are stable: they are never renamed or reused.
 * `status` is the HTTP status when the whole request fails by it (item outcomes carry the code inside a 200).
 */
export interface ErrorEntry {
  status: number;
  title: string;
  /** What to do next. */
  hint: string;
}

const entry = (status: number, title: string, hint: string): ErrorEntry => ({ status, title, hint });

/** A request fails as a whole. */
const requestErrors = {
  'request.malformed_json': entry(
    400,
    'The body is not JSON',
    'Check the body with a JSON parser; the position says where reading stopped.',
  ),
  'request.invalid': entry(
    400,
    'A field has a value that is not allowed',
    'The pointer names the field, the detail says what it wants.',
  ),
  'request.content_type': entry(
    415,
    'This content type is not read here',
    'Send application/cloudevents+json, application/cloudevents-batch+json or application/json.',
  ),
  'request.content_encoding': entry(
    415,
    'This content encoding is not read here',
    'Send the body plain or with Content-Encoding: gzip.',
  ),
  'request.bad_gzip': entry(
    400,
    'The body is not gzip',
    'Compress the whole body as one gzip stream, or leave the header away.',
  ),
  'request.too_large': entry(
    413,
    'The body is too large',
    'Split the batch; the bound also holds after decompression.',
  ),
  'request.too_many': entry(413, 'Too many items in one request', 'Split the batch.'),
  'request.not_found': entry(404, 'There is no such route', 'See /openapi.json for all routes.'),
  'request.method': entry(405, 'This route does not know the method', 'See /openapi.json for all routes.'),
  'request.timeout': entry(408, 'The request did not arrive in time', 'Send it again.'),
  'request.cursor': entry(
    400,
    'The page cursor cannot be read',
    'Use the nextCursor of the page before as it is, with the same filters.',
  ),
  'auth.missing': entry(
    401,
    'No key was given',
    'Send Authorization: Bearer tg_...; the administrator key is in admin.key in the data directory.',
  ),
  'auth.unknown_key': entry(
    401,
    'The key is not known, or was revoked',
    'Check for a cut or an old key; make one with `tollgate keys create`.',
  ),
  'auth.scope': entry(403, 'The key may not do this', 'The detail names the scope it lacks; make a key that has it.'),
  'auth.source': entry(
    403,
    'The key may not speak for this source',
    'Grant the source to the key when making it: `tollgate keys create --source NAME`.',
  ),
  'auth.account': entry(403, 'The key does not reach this account', 'A key sees its own account and those below it.'),
  'account.unknown': entry(404, 'There is no such account', 'List them with `tollgate accounts list`.'),
  'account.exists': entry(409, 'The account exists already', 'Change it with PUT, or choose another id.'),
  'account.cycle': entry(422, 'An account cannot be below itself', 'Choose a parent outside its own subtree.'),
  'account.zone': entry(422, 'This is not an IANA time zone', 'For example Europe/Berlin, America/New_York, UTC.'),
  'account.currency': entry(422, 'This is not an ISO 4217 currency', 'For example EUR, USD, JPY.'),
  'account.billed': entry(
    409,
    'The account cannot be billed in this currency',
    'Make another account in the new currency and end the plans of this one; of one never billed call the plans off first.',
  ),
  'meter.unknown': entry(404, 'There is no such meter', 'List them with `tollgate meters list`.'),
  'meter.exists': entry(409, 'The meter exists already', 'Change it with PUT: that makes a new version.'),
  'meter.invalid': entry(422, 'The meter does not make sense', 'The detail says which parts do not go together.'),
  'meter.built_in': entry(
    409,
    'A built-in meter cannot be changed',
    'Make a meter of your own over the same event type.',
  ),
  'plan.unknown': entry(404, 'There is no such plan', 'List them with `tollgate plans`.'),
  'plan.invalid': entry(
    422,
    'The plans do not make sense',
    'Each line of the detail names line, column and field, and what is allowed: docs/operating/plans.md.',
  ),
  'plan.currency': entry(
    422,
    'The plan is in another currency than the account',
    'An account, who pays for it and its plans are in one currency: take a plan in the currency of the account.',
  ),
  'plan.in_use': entry(409, 'Somebody has the plan', 'Move its accounts to another one first.'),
  'plan.moved': entry(409, 'Plans have changed meanwhile', 'Look at the changes again, then apply them.'),
  'subscription.unknown': entry(
    404,
    'There is no such subscription',
    'List them with `tollgate accounts subscriptions ACCOUNT`; `--from` calls off one that has not begun.',
  ),
  'subscription.billed': entry(
    409,
    'A final invoice covers this time',
    'Choose a later time, or say `adjust` (`--adjust`): the next invoice then adjusts the final one.',
  ),
  'billing.invalid': entry(
    422,
    'This cannot be billed so',
    'The detail names the field, and line and column of a file, with what is allowed: docs/operating/billing.md.',
  ),
  'entity.unknown': entry(404, 'There is no such legal entity', 'List them with `tollgate billing entities`.'),
  'tax.billed': entry(
    409,
    'Final invoices have this tax',
    'Choose a later time; or make the invoices void (`tollgate invoices void`) and run them anew with the corrected rate.',
  ),
  'tax.unknown': entry(
    404,
    'There is no such tax',
    'List them with `tollgate billing taxes`; `--from` calls off one that has not begun.',
  ),
  'coupon.unknown': entry(404, 'There is no such coupon', 'List them with `tollgate billing coupons`.'),
  'discount.unknown': entry(
    404,
    'There is no such discount',
    'List them with `tollgate billing discounts`; `--from` calls off one that has not begun.',
  ),
  'addon.unknown': entry(
    404,
    'There is no such add-on',
    'List them with `tollgate accounts addons ACCOUNT`; `--from` calls off one that has not begun.',
  ),
  'money.invalid': entry(
    422,
    'This is not an amount of money',
    'A decimal number above 0 with no more decimals than its currency has, and a currency such as EUR: 119.00 EUR.',
  ),
  'payment.unknown': entry(404, 'There is no such payment', 'List them with `tollgate payments list ACCOUNT`.'),
  'payment.conflict': entry(
    409,
    'The reference is that of another payment',
    'The same payment may be told again. A reference is unique in its account: is this another one?',
  ),
  'payment.currency': entry(422, 'The currency is another one', 'The detail says which; nothing is converted.'),
  'refund.too_much': entry(
    409,
    'There is less to give back',
    '`tollgate balance ACCOUNT` shows what the account has with us; name the payment to give back more than that.',
  ),
  'credit.unknown': entry(404, 'There is no such credit', 'List them with `tollgate credits list ACCOUNT`.'),
  'credit.conflict': entry(
    409,
    'The key is that of another credit',
    'The same credit may be asked for again. A key (`--reference`) is unique in its account: choose another one.',
  ),
  'books.changed': entry(409, 'The books have changed meanwhile', 'Look at them again, then repeat it.'),
  'ledger.conflict': entry(
    409,
    'This was booked as something else',
    'Look for it: `tollgate ledger --account ACCOUNT`.',
  ),
  'invoice.unknown': entry(404, 'There is no such invoice', 'List them with `tollgate invoices`.'),
  'invoice.too_long': entry(
    422,
    'The invoice has too many lines to be printed',
    'Take its lines as CSV: `tollgate invoices show NUMBER --csv FILE`.',
  ),
  'invoice.paid': entry(409, 'Nothing of the invoice is open', '`tollgate balance ACCOUNT` shows what is.'),
  'invoice.void': entry(409, 'The invoice is void', 'Nothing can be done to it any more; its period is billed anew.'),
  'invoice.settled': entry(
    409,
    'Something was paid of the invoice',
    'Refund it first, or credit it: `tollgate invoices credit`.',
  ),
  'invoice.credited': entry(
    409,
    'Part of the invoice is credited already',
    'Credit the rest of it: `tollgate invoices credit`.',
  ),
  'invoice.line': entry(404, 'The invoice has no such line', '`tollgate invoices show NUMBER` lists its lines.'),
  'invoice.too_much': entry(409, 'There is less left to credit', 'The detail says how much.'),
  'invoice.blocked': entry(
    409,
    'The invoice cannot be final yet',
    'The detail says what is in the way and which command shows it.',
  ),
  'invoice.not_due': entry(409, 'This period has no draft', 'List drafts with `tollgate invoices drafts`.'),
  'invoice.ahead': entry(422, 'The time has not come yet', 'Give an instant that has passed.'),
  'cost.unknown': entry(
    409,
    'What the account costs cannot be said',
    'Give it a plan with prices: `tollgate accounts subscribe`; or mend what the detail names.',
  ),
  'invoice.run_unknown': entry(404, 'There is no such invoice run', 'List them with `tollgate invoices runs`.'),
  'limit.unknown': entry(404, 'There is no such limit', 'List them with `tollgate limits` and `tollgate limits show`.'),
  'limit.invalid': entry(
    422,
    'The limit does not make sense',
    'The detail names the field and what is allowed: docs/operating/plans.md.',
  ),
  'block.unknown': entry(404, 'There is no such block', 'List them with `tollgate limits show ACCOUNT`.'),
  'resource.unknown': entry(404, 'There is no such resource', 'List them with `tollgate resources list`.'),
  'source.unknown': entry(404, 'There is no such source', 'List them with `tollgate sources list`.'),
  'key.unknown': entry(404, 'There is no such key', 'List them with `tollgate keys list`.'),
  'key.too_wide': entry(403, 'A key cannot grant more than it has', 'Use a key of the installation with scope admin.'),
  'quarantine.unknown': entry(404, 'Nothing with this number is set aside', 'List it with `tollgate quarantine list`.'),
  'quarantine.decided': entry(409, 'It was decided before', 'A decision stands; correct it with an amendment.'),
  'fact.unknown': entry(404, 'There is no fact to correct', 'Give the receipt number, or source and id of the event.'),
  'correction.counter': entry(
    409,
    'An event of a counter cannot be amended',
    'Void it, and send the right reading as an event of its own.',
  ),
  'set.exists': entry(409, 'The set is open already', 'Add events to it, or undo it first.'),
  'set.undone': entry(409, 'The set is undone', 'Open a set under another name.'),
  'set.unknown': entry(404, 'There is no such set', 'Sets are listed at GET /api/v1/corrections/sets.'),
  'run.unknown': entry(404, 'There is no such run', 'List them with `tollgate job runs`.'),
  'job.busy': entry(409, 'The job is running already', 'Wait for it: `tollgate job status`.'),
  'record.unknown': entry(
    404,
    'There is no such record',
    'Take the record name from `tollgate usage --records` or /api/v1/usage.',
  ),
  'query.range': entry(422, 'The time range cannot be answered', '`from` lies before `to`; give RFC 3339 instants.'),
  'calendar.zone': entry(422, 'This is not an IANA time zone', 'For example Europe/Berlin, America/New_York, UTC.'),
  'calendar.instant': entry(
    400,
    'This is not an instant',
    'RFC 3339 such as 2026-11-21T23:00:00Z, or a local date or time.',
  ),
  'calendar.range': entry(
    422,
    'This range of instants does not exist',
    '`from` lies before `to`, and both after 1970.',
  ),
  'calendar.too_many': entry(422, 'Too many intervals', 'Ask for a shorter span or larger intervals.'),
  'query.window_size': entry(422, 'This window size is not known', 'One of MINUTE, HOUR, DAY, MONTH.'),
  'query.group_by': entry(
    422,
    'The meter has no such dimension',
    'The meter definition lists its dimensions under groupBy.',
  ),
  'series.unknown': entry(404, 'There is no such series', 'Take the reference from `tollgate usage` or /api/v1/usage.'),
  'explain.reference': entry(
    400,
    'This is no reference to a record, a fact or a refusal',
    'SERIES@WINDOW, SERIES@FROM/TO, receipt:N, event:SOURCE/ID or refusal:ID; `tollgate usage --json` has them under explain.',
  ),
  'usage.too_much': entry(
    422,
    'The answer would be too large',
    'Ask for a shorter span, larger intervals or fewer groups.',
  ),
  'replay.line': entry(
    422,
    'A line of the file is no fact',
    'The message names the line; files are made with `tollgate export`.',
  ),
  'replay.format': entry(422, 'The file has a format of another version', 'Replay it with the version that wrote it.'),
  'ingest.queue_full': entry(
    503,
    'More waits for the disk than the bound allows',
    'Send again after Retry-After; agents do so by themselves.',
  ),
  'store.unavailable': entry(
    503,
    'The store cannot commit now',
    'Nothing was acknowledged. Check disk space and `tollgate doctor`, send again after Retry-After.',
  ),
  'server.read_only': entry(503, 'This server only reads', 'Send to the server that takes in facts.'),
  'server.stopping': entry(503, 'The server is stopping', 'Send again in a few seconds.'),
  'server.busy': entry(503, 'Too much of this is asked at once', 'Ask again after Retry-After.'),
  'server.not_ready': entry(503, 'The server is starting', 'Send again in a few seconds.'),
  'server.internal': entry(500, 'Something went wrong on our side', 'The log has the details under the request id.'),
} as const satisfies Record<string, ErrorEntry>;

/** What a store says when it cannot start or was asked for what it cannot keep; the message names path and reason. */
const storeErrors = {
  'store.disk_full': entry(
    503,
    'The disk is full',
    'Free some space: the server goes on by itself, and nothing acknowledged is lost.',
  ),
  'store.not_writable': entry(
    500,
    'The data directory cannot be written',
    'Change its owner, or give another with TOLLGATE_DATA_DIR.',
  ),
  'store.locked': entry(
    500,
    'Another server uses the data directory',
    'Stop it, or give this one another with TOLLGATE_DATA_DIR.',
  ),
  'store.nothing_stored': entry(
    500,
    'There is no data directory to serve',
    'Give a copy of a data directory with TOLLGATE_DATA_DIR.',
  ),
  'store.newer_layout': entry(500, 'The data directory comes from a newer version', 'Start the newer version.'),
  'store.newer_schema': entry(500, 'The store comes from a newer version', 'Start the newer version.'),
  'store.engine_missing': entry(
    500,
    'The programs of a store are not installed',
    'Run npm ci again, with optional dependencies.',
  ),
  'store.engine_unusable': entry(
    500,
    'The programs of a store do not run here',
    'The message says what they complained of.',
  ),
  'store.engine_version': entry(
    500,
    'The store was made by another version of its engine',
    'Start the version that made it.',
  ),
  'store.engine_init': entry(500, 'The store could not be made', 'The message says what it complained of.'),
  'store.engine_start': entry(500, 'The store does not start', 'Its log, named in the message, has the reason.'),
  'store.engine_stop': entry(500, 'The store does not stop', 'Its log, named in the message, has the reason.'),
  'store.limit_memory': entry(
    422,
    'The question needs more memory than one statement may take',
    'Ask for a shorter span, larger intervals or fewer groups.',
  ),
  'store.limit_time': entry(
    422,
    'The question takes longer than one statement may',
    'Ask for a shorter span, larger intervals or fewer groups.',
  ),
  'store.text_invalid': entry(422, 'A text that cannot be stored', 'Texts are valid Unicode without NUL.'),
  'store.text_too_long': entry(422, 'A text is too long', 'Shorten it.'),
  'store.number_range': entry(422, 'A number is out of range', 'The message names the range.'),
  'store.not_found': entry(404, 'The row is not there', 'It may have been taken away meanwhile; look again.'),
  'store.misuse': entry(500, 'A store was asked for what it does not do', 'Our fault: please report it with the log.'),
  'store.receipt_taken': entry(500, 'A receipt number was given twice', 'Our fault: please report it with the log.'),
  'store.progress_overlap': entry(500, 'Two spans of the job overlap', 'Our fault: please report it with the log.'),
  'store.series_full': entry(
    500,
    'No more series fit',
    'One installation holds at most 64 million series in each group.',
  ),
  'store.receipts_exhausted': entry(500, 'No more receipt numbers', 'One installation holds 2^53 facts.'),
  'store.failed': entry(500, 'The store failed', 'The log has what it said.'),
} as const satisfies Record<string, ErrorEntry>;

/** Found later, by the pure function that follows a series: why something stands in the quarantine. */
const setAsideErrors = {
  'reading.conflict': entry(
    409,
    'Another value was given for the same counter and time',
    'The first stays; release this one if it is the right one.',
  ),
  'reading.late_inconsistent': entry(
    422,
    'A late reading that fits neither of its neighbours',
    'Release or drop it: `tollgate quarantine list`.',
  ),
  'reading.impossible_rate': entry(
    422,
    'More than the line can carry',
    'Check the line speed of the series, then release or drop it.',
  ),
  'series.failed': entry(
    500,
    'This series could not be computed',
    'The others went on. `tollgate explain` shows its readings; release it once the cause is mended.',
  ),
} as const satisfies Record<string, ErrorEntry>;

const outcomeStatus = (code: OutcomeCode): number => {
  if (code === 'event.duplicate' || code === 'reading.duplicate') return 200;
  if (code === 'event.conflict') return 409;
  if (code === 'source.forbidden') return 403;
  return code === 'event.too_large' ? 413 : 400;
};

/** One item of a batch was not accepted; the protocol package owns the words, so that publishers know them too. */
const itemErrors = Object.fromEntries(
  Object.entries(outcomeCodes)
    .filter(([code]) => !(code in requestErrors))
    .map(([code, title]) => [
      code,
      entry(
        outcomeStatus(code as OutcomeCode),
        title,
        'The pointer names the field; nothing else of the batch is lost.',
      ),
    ]),
) as Record<Exclude<OutcomeCode, keyof typeof requestErrors>, ErrorEntry>;

export const errors = { ...requestErrors, ...storeErrors, ...setAsideErrors, ...itemErrors };
export type ErrorCode = keyof typeof errors;
export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(errors, text);

export interface ProblemExtra {
  /** JSON pointer into the request. */
  pointer?: string;
  /** Index of the item in a batch, or byte position in malformed JSON. */
  position?: number;
  retryAfterSeconds?: number;
}

/** A request that fails as a whole. */
export class Problem extends Error {
  override name = 'Problem';
  readonly code: ErrorCode;
  readonly extra: ProblemExtra;
  constructor(code: ErrorCode, detail: string = errors[code].title, extra: ProblemExtra = {}) {
    super(detail);
    this.code = code;
    this.extra = extra;
  }
}

/** RFC 9457 body. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  hint: string;
  instance: string;
  pointer?: string;
  position?: number;
}

export const problemBody = (problem: Problem, instance: string): ProblemBody => {
  const { status, title, hint } = errors[problem.code];
  return {
    type: `urn:tollgate:error:${problem.code}`,
    title,
    status,
    detail: problem.message,
    code: problem.code,
    hint,
    instance,
    ...(problem.extra.pointer === undefined ? {} : { pointer: problem.extra.pointer }),
    ...(problem.extra.position === undefined ? {} : { position: problem.extra.position }),
  };
};

const table = (entries: Readonly<Record<string, ErrorEntry>>): string[] => [
  '| code | status | meaning | what to do |',
  '|---|---|---|---|',
  ...Object.entries(entries).map(([code, e]) => `| \`${code}\` | ${e.status} | ${e.title} | ${e.hint} |`),
  '',
];

/** The registry as a page of the reference; docs/reference/errors.md is this text, and a test holds it so. */
export const errorsPage = (): string =>
  [
    '# Error codes',
    '',
    'Made from `packages/server/src/errors.ts`; do not edit. Codes are stable: never renamed, never reused.',
    '',
    '## A request fails as a whole',
    '',
    'The answer is RFC 9457 problem+json with `code`, `hint` and, where it helps, `pointer` (JSON pointer into the request)',
    'and `position`.',
    '',
    ...table(requestErrors),
    '## One item of a batch is not accepted',
    '',
    'The answer to a batch lists such items with `position`, `outcome`, `code`, `pointer` and `message`; the others are',
    'taken. The status stands for a request of which nothing could be taken.',
    '',
    ...table(itemErrors),
    '## From the stores',
    '',
    'Most of them stop the start; the message names the path and the reason.',
    '',
    ...table(storeErrors),
    '## Set aside by the usage job',
    '',
    'Accepted, but not counted until somebody decides: see `tollgate quarantine list`.',
    '',
    ...table(setAsideErrors),
  ].join('\n');
