/** Every bound of the HTTP layer, with its unit and its reason. `startServer` takes others where a test or a setting says so. */

export interface ApiLimits {
  /** Milliseconds for a request's header block; a body may take hours, its silence is ingest's to judge. */
  readonly headersTimeoutMs: number;
  /** Longer than the idle time of usual load balancers (60 s), or they meet a connection that just closed. */
  readonly keepAliveTimeoutMs: number;
  /** Bytes of a request's header block; beyond them 431. */
  readonly headerBytesMax: number;
  /** Fields of it; beyond them 431, never fewer than were sent: the last may be those of a gateway. */
  readonly headersMax: number;
  /** Characters of path and query; beyond them 414. The longest we take is `metadata`, percent-encoded. */
  readonly urlCharsMax: number;
  /** Each takes a descriptor and some memory; beyond them a connection is closed at once. */
  readonly connectionsMax: number;
  /** Requests in flight on one connection: who pipelines more than that wants to be answered by nobody. */
  readonly pipelinedMax: number;
  /** After `close()`, milliseconds for the requests in flight. */
  readonly closeGraceMs: number;
  /** What is read and thrown away of a body that was answered before its end, so that the answer gets through. */
  readonly lingerBytesMax: number;
  readonly lingerMsMax: number;
  /** … and the silence after which the client is taken to have read the answer. */
  readonly lingerIdleMs: number;
  /** Milliseconds without progress after which a reader of results is let go. */
  readonly stalledReaderMs: number;
  /** Seconds; a longer `Prefer: wait` is cut to it. */
  readonly waitSecondsMax: number;
  /** Status is cached for 500 ms: asking more often brings nothing. */
  readonly waitIntervalMs: number;
  /** Readers waiting at once; one more is answered at once. */
  readonly waitersMax: number;
  /** … of one account: so that others can wait, too. */
  readonly waitersPerAccountMax: number;
  /** Between two events of one operation: four a second at most. */
  readonly eventIntervalMs: number;
  /** Shorter than the idle time of usual proxies (60 s). */
  readonly heartbeatMs: number;
  /** Who follows events at once; one more is refused. */
  readonly followersMax: number;
  readonly followersPerAccountMax: number;
  /** A probe that hangs is a probe that failed. */
  readonly healthTimeoutMs: number;
  readonly listItemsDefault: number;
  readonly listItemsMax: number;
}

export const API_LIMITS: ApiLimits = {
  headersTimeoutMs: 60_000,
  keepAliveTimeoutMs: 75_000,
  headerBytesMax: 32 * 1024,
  headersMax: 200,
  urlCharsMax: 16 * 1024,
  connectionsMax: 10_000,
  pipelinedMax: 32,
  closeGraceMs: 10_000,
  lingerBytesMax: 64 * 1024 * 1024,
  lingerMsMax: 10_000,
  lingerIdleMs: 2_000,
  stalledReaderMs: 120_000,
  waitSecondsMax: 60,
  waitIntervalMs: 500,
  waitersMax: 1_000,
  waitersPerAccountMax: 250,
  eventIntervalMs: 250,
  heartbeatMs: 15_000,
  followersMax: 1_000,
  followersPerAccountMax: 250,
  healthTimeoutMs: 3_000,
  listItemsDefault: 50,
  listItemsMax: 1_000,
};
