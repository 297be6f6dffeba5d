import { randomUUID } from 'node:crypto';
import type { Act } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { Asker, Askers, Question } from './asker.ts';
import { nextStep, outsideWaits, type Next } from './machine.ts';
import { waitText } from './plan.ts';
import { isOver, type Rotation, type RotationReads } from './rotation.ts';
import type { RotationSteps, RotationTx } from './steps.ts';

export interface RunnerParts {
  readonly reads: Pick<RotationReads, 'rotation' | 'openRotations'>;
  readonly steps: RotationSteps;
  readonly askers: Askers;
  /** What happens by itself happens in the name of the service. */
  readonly act: Act<RotationTx>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of what is no error of ours. */
  readonly onError: (error: unknown) => void;
}

/** Between two questions to the same one, by the clock of the rotations. */
const ASK_AGAIN_MS = 60_000;

/** Brings rotations as far as they get without a person: at the start, on every tick, and after whatever a person did. */
export class RotationRunner {
  readonly #parts: RunnerParts;
  /** What is being done with one, by its id. */
  readonly #busy = new Map<string, Promise<unknown>>();
  /** Why a step failed that could have been taken. */
  readonly #problems = new Map<string, string>();
  /** When each was asked last, by place of the wait. */
  readonly #asked = new Map<string, Map<number, number>>();
  /** Why the last question got no answer. */
  readonly #unanswered = new Map<string, string>();
  readonly #asking = new Set<Promise<void>>();

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  /** Takes every step that is due, and asks whoever has to be asked. Never rejects. */
  async tick(): Promise<void> {
    const { reads, onError } = this.#parts;
    try {
      const open = reads.openRotations();
      await Promise.all(open.map(({ id }) => this.drive(id)));
    } catch (error) {
      onError(error);
    }
  }

  /** When all that was asked before has been answered; for the end of the service, and tests. */
  async idle(): Promise<void> {
    while (this.#asking.size + this.#busy.size > 0)
      await Promise.allSettled([...this.#asking, ...this.#busy.values()]);
  }

  /** One thing at a time is done with a rotation. */
  async alone<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(id) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(work);
    this.#busy.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(id) === mine) this.#busy.delete(id);
    }
  }

  /** Takes all steps of one that can be taken now. Never rejects: what fails is tried again on the next tick. */
  async drive(id: string): Promise<void> {
    await this.alone(id, async () => {
      try {
        let next: Next | undefined;
        do {
          const rotation = this.#parts.reads.rotation(id);
          if (rotation === undefined || isOver(rotation)) {
            this.#asked.delete(id);
            this.#unanswered.delete(id);
            break;
          }
          next = await this.#goOn(rotation);
        } while (next.kind === 'step' || next.kind === 'overdue');
        this.#problems.delete(id);
      } catch (error) {
        this.#problems.set(id, error instanceof CountersignError ? error.message : 'an unexpected error');
        if (!(error instanceof CountersignError)) this.#parts.onError(error);
      }
    });
  }

  /** Why the next step is not taken although its time has come; undefined where only time, or somebody, is waited for. */
  holdup(rotation: Rotation): string | undefined {
    if (isOver(rotation)) return undefined;
    const next = nextStep(rotation, this.#parts.steps.observe(rotation), this.#parts.now());
    if (next.kind === 'blocked') return next.reason;
    if (next.kind === 'wait' && next.sealed)
      return 'the service is sealed: a new version is made once it is unsealed';
    const waits = next.kind === 'wait' && next.open.length > 0;
    return this.#problems.get(rotation.id) ?? (waits ? this.#unanswered.get(rotation.id) : undefined);
  }

  /** What was done: a step or the word of a timeout, after which there may be more to do. */
  async #goOn(rotation: Rotation): Promise<Next> {
    const { steps, act, now } = this.#parts;
    const next = nextStep(rotation, steps.observe(rotation), now());
    switch (next.kind) {
      case 'step':
        await steps.take(act, rotation, next.step, undefined);
        break;
      case 'overdue':
        await steps.overdue(act, rotation, next.wait);
        break;
      case 'abort':
        await steps.abort(act, rotation, `timeout of ${this.#nameOf(rotation, next.wait)}`, undefined);
        break;
      case 'wait':
        if (now() >= next.due) this.#askFor(rotation, next);
        break;
      case 'blocked':
      case 'over':
      default:
    }
    return next;
  }

  #nameOf({ plan }: Rotation, place: number): string {
    const wait = plan.waits[place];
    return wait === undefined ? 'a wait' : waitText(wait);
  }

  /** Nobody waits for the answers: a yes is noted when it comes. */
  #askFor(rotation: Rotation, { step }: Extract<Next, { kind: 'wait' }>): void {
    const { webhooks, conditions } = this.#parts.askers;
    for (const { index, wait } of outsideWaits(rotation, step)) {
      if (wait.type === 'person') continue;
      const asker = wait.type === 'webhook' ? webhooks.get(wait.webhook) : conditions.get(wait.condition);
      const times = this.#asked.get(rotation.id) ?? new Map<number, number>();
      const last = times.get(index);
      if (asker === undefined || (last !== undefined && this.#parts.now() < last + ASK_AGAIN_MS)) continue;
      this.#asked.set(rotation.id, times.set(index, this.#parts.now()));
      const asking = this.#ask(asker, rotation, index, {
        id: randomUUID(),
        rotation: rotation.id,
        key: rotation.key.name,
        step,
        old: rotation.old,
        new: rotation.new ?? null,
      });
      this.#asking.add(asking);
      void asking.finally(() => this.#asking.delete(asking));
    }
  }

  async #ask(asker: Asker, asked: Rotation, wait: number, question: Question): Promise<void> {
    const { reads, steps, act } = this.#parts;
    const { id } = asked;
    let yes: boolean;
    try {
      yes = await asker.ask(question);
      this.#unanswered.delete(id);
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown';
      this.#unanswered.set(id, `${this.#nameOf(asked, wait)} gave no answer: ${reason}`);
      return;
    }
    if (!yes) return;
    await this.alone(id, async () => {
      const rotation = reads.rotation(id);
      // It went on, or ended, while the answer was on its way.
      if (rotation === undefined || rotation.state !== asked.state) return;
      if (rotation.passed.some((done) => done.wait === wait)) return;
      await steps.pass(act, rotation, wait, undefined).catch((error: unknown) => {
        if (!(error instanceof CountersignError)) this.#parts.onError(error);
      });
    });
    await this.drive(id);
  }
}
