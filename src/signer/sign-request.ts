import type { PolicyIntent } from '../effects/effect.ts';
import type { Intent } from '../intent/intent.ts';
import type { AskedWith } from './sign-entry.ts';

/** What a policy is asked about. */
export interface Question extends AskedWith {
  readonly keyName: string;
  /** The primary, when absent. */
  readonly version?: number | undefined;
  readonly intent: PolicyIntent;
}

export interface SignRequest extends Question {
  readonly requestId: string;
  readonly intent: Intent;
  /** Told when the signature is there, or will not be. */
  readonly turn?: { made(): void } | undefined;
}
