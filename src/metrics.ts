import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** One of the audit log's sinks. */
export interface SinkSource {
  readonly name: string;
  readonly lagEntries: number;
  readonly lagSeconds: number;
  readonly failures: number;
}

/** What is kept of the audit log outside. */
export interface OutsideSource {
  readonly exposed: { readonly entries: number; readonly seconds: number };
  readonly witnessed?: HolderSource & {
    readonly witnesses: readonly (HolderSource & { readonly name: string })[];
  };
  readonly anchored?: { readonly anchors: readonly (HolderSource & { readonly name: string })[] };
  readonly splitView: boolean;
}

interface HolderSource {
  readonly size: number;
  readonly problem?: string;
}

export interface MetricSources {
  readonly auditSize: () => number;
  /** Of entries that are alerts. */
  readonly alertKinds: readonly string[];
  readonly sealed: () => boolean;
  readonly ready: () => boolean;
  /** The newest term of the root keyring; undefined before the service is initialized. */
  readonly rootKey: () =>
    | {
        readonly term: number;
        readonly encryptions: number;
        readonly createdAt: string;
        readonly oldTermKeys: number;
      }
    | undefined;
  /** Requests to sign that were refused because more were asked than could be done. */
  readonly shed: () => number;
  readonly sinks: () => readonly SinkSource[];
  readonly outside: () => OutsideSource;
}

export interface Metrics {
  /** Call the result with the status when the answer is sent. `route` is the pattern, so that its values are few. */
  startRequest(method: string, route: string): (status: number) => void;
  countSignature(operation: string, outcome: string): void;
  countAlert(kind: string, count: number): void;
  /** Prometheus text format. */
  text(): Promise<string>;
}

export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'countersign_' });
  const duration = new Histogram({
    name: 'countersign_http_request_duration_seconds',
    help: 'Time from a request found its route to its answer, by method, route and status.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers,
  });
  const signatures = new Counter({
    name: 'countersign_sign_requests_total',
    help: 'Requests to sign that were decided, by operation and outcome.',
    labelNames: ['operation', 'outcome'],
    registers,
  });
  const alerts = new Counter({
    name: 'countersign_alerts_total',
    help: 'Alerts in the audit log since the start, by kind of entry.',
    labelNames: ['kind'],
    registers,
  });
  // So that the first one is an increase of something that is there.
  for (const kind of sources.alertKinds) alerts.inc({ kind }, 0);
  const gauge = (name: string, help: string, read: () => number): void => {
    const made = new Gauge({
      name,
      help,
      registers: [],
      collect() {
        this.set(read());
      },
    });
    registry.registerMetric(made);
  };
  gauge('countersign_audit_entries', 'Entries in the audit log.', () => sources.auditSize());
  gauge('countersign_sealed', '1 while the service is sealed.', () => (sources.sealed() ? 1 : 0));
  const rootKeyGauge = (
    name: string,
    help: string,
    read: (rootKey: NonNullable<ReturnType<MetricSources['rootKey']>>) => number,
  ): void => {
    const made = new Gauge({
      name,
      help,
      registers: [],
      collect() {
        const rootKey = sources.rootKey();
        if (rootKey !== undefined) this.set(read(rootKey));
      },
    });
    registry.registerMetric(made);
  };
  rootKeyGauge('countersign_root_key_term', 'Newest term of the root keyring.', ({ term }) => term);
  rootKeyGauge(
    'countersign_root_key_encryptions',
    'Encryptions under the newest term; a new term comes by itself before there are 2^32.',
    ({ encryptions }) => encryptions,
  );
  rootKeyGauge(
    'countersign_root_key_age_seconds',
    'Age of the newest term of the root keyring.',
    ({ createdAt }) => (Date.now() - Date.parse(createdAt)) / 1_000,
  );
  rootKeyGauge(
    'countersign_old_term_keys',
    'Secrets that are still sealed under a term before the newest: rewrap moves them.',
    ({ oldTermKeys }) => oldTermKeys,
  );
  const shed = new Counter({
    name: 'countersign_shed_requests_total',
    help: 'Requests to sign that were refused because more were asked than could be signed in time.',
    registers: [],
    collect() {
      this.reset();
      this.inc(sources.shed());
    },
  });
  registry.registerMetric(shed);
  gauge('countersign_ready', '1 while the service can sign.', () => (sources.ready() ? 1 : 0));
  const sinkGauge = (name: string, help: string, read: (sink: SinkSource) => number): void => {
    const made = new Gauge({
      name,
      help,
      labelNames: ['sink'],
      registers: [],
      collect() {
        for (const sink of sources.sinks()) this.set({ sink: sink.name }, read(sink));
      },
    });
    registry.registerMetric(made);
  };
  sinkGauge(
    'countersign_audit_sink_lag_entries',
    'Entries that an audit sink has not got yet.',
    ({ lagEntries }) => lagEntries,
  );
  sinkGauge(
    'countersign_audit_sink_lag_seconds',
    'Age of the oldest entry that an audit sink has not got yet; 0 when it has all.',
    ({ lagSeconds }) => lagSeconds,
  );
  registry.registerMetric(
    new Counter({
      name: 'countersign_audit_sink_failures_total',
      help: 'Attempts to deliver to an audit sink that failed.',
      labelNames: ['sink'],
      registers: [],
      collect() {
        this.reset();
        for (const { name, failures } of sources.sinks()) this.inc({ sink: name }, failures);
      },
    }),
  );
  registerOutside(registry, sources.outside);

  return {
    startRequest: (method, route) => {
      const start = process.hrtime.bigint();
      return (status) => {
        duration.observe({ method, route, status }, Number(process.hrtime.bigint() - start) / 1e9);
      };
    },
    countSignature: (operation, outcome) => signatures.inc({ operation, outcome }),
    countAlert: (kind, count) => alerts.inc({ kind }, count),
    text: () => registry.metrics(),
  };
}

function registerOutside(registry: Registry, read: MetricSources['outside']): void {
  const gauge = (
    name: string,
    help: string,
    set: (gauge: Gauge<'name'>, source: OutsideSource) => void,
  ): void => {
    const made = new Gauge({
      name,
      help,
      labelNames: ['name'] as const,
      registers: [],
      collect() {
        set(this, read());
      },
    });
    registry.registerMetric(made);
  };
  gauge(
    'countersign_audit_exposed_entries',
    'Newest audit entries that neither enough witnesses nor an anchor hold: a rollback could hide them.',
    (made, { exposed }) => made.set(exposed.entries),
  );
  gauge(
    'countersign_audit_exposed_seconds',
    'Age of the oldest of these entries; 0 when there are none.',
    (made, { exposed }) => made.set(exposed.seconds),
  );
  gauge(
    'countersign_audit_split_view',
    '1 while another log than this is known of, to somebody outside or beside the database, and no operator has acknowledged it.',
    (made, { splitView }) => made.set(splitView ? 1 : 0),
  );
  gauge(
    'countersign_audit_witnessed_entries',
    'Entries covered by the newest checkpoint that enough witnesses have cosigned.',
    (made, { witnessed }) => witnessed && made.set(witnessed.size),
  );
  for (const [kind, holders] of [
    ['witness', ({ witnessed }: OutsideSource) => witnessed?.witnesses ?? []],
    ['anchor', ({ anchored }: OutsideSource) => anchored?.anchors ?? []],
  ] as const) {
    gauge(
      `countersign_audit_${kind}_entries`,
      `Entries covered by the newest checkpoint that the ${kind} holds.`,
      (made, source) => {
        for (const { name, size } of holders(source)) made.set({ name }, size);
      },
    );
    gauge(
      `countersign_audit_${kind}_up`,
      `0 when the ${kind} failed the last time it was asked.`,
      (made, source) => {
        for (const { name, problem } of holders(source)) made.set({ name }, problem === undefined ? 1 : 0);
      },
    );
  }
}
