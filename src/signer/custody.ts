import { asBuffer, wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { OPERATIONS, type Operation } from '../intent/intent.ts';
import type { SealedIdentity } from '../keystore/envelope.ts';
import { sealConfigSchema, type NewSeal, type SealConfig } from '../keystore/seal.ts';
import { REQUEST } from './link.ts';
import {
  required,
  sealedKey,
  type KeyMaterial,
  type NewKey,
  type NewKeyring,
  type NewTotp,
  type SealedKey,
} from './sealed-key.ts';
import { KDF_TIMEOUT_MS, type SignerSupervisor } from './supervisor.ts';

const OPERATION_BYTES = Object.fromEntries(
  OPERATIONS.map((operation, index) => [operation, Buffer.from([index])]),
) as { readonly [operation in Operation]: Buffer };

/** The way to the signer process. */
export type SignerLink = Pick<SignerSupervisor, 'request' | 'state'>;

/** Told before something is sealed under the newest term of the root keyring. Throws when it must not be. */
export type BeforeSealing = (count: number) => void;

/** What the API process asks of the signer process, with types; and which sealed keys it has there by now. */
export class Custody {
  readonly #signer: SignerLink;
  readonly #beforeSealing: BeforeSealing;
  /** By key and version; numbers, as there may be a hundred thousand. */
  readonly #handles = new Map<string, number>();
  #nextHandle = 1;
  #unsealed = false;
  #lost = false;
  /** Counts the sealings: an unsealing that a sealing has overtaken must not take effect. */
  #epoch = 0;

  constructor(signer: SignerLink, beforeSealing: BeforeSealing = () => undefined) {
    this.#signer = signer;
    this.#beforeSealing = beforeSealing;
  }

  /** Changes with every sealing, and with every loss of the signer process: what was held there is gone. */
  get epoch(): number {
    return this.#epoch;
  }

  /** A request of its own kind (seal-custody.ts). */
  async request(
    kind: number,
    fields: readonly Uint8Array[],
    timeoutMs?: number,
  ): Promise<readonly Uint8Array[]> {
    return await this.#signer.request(kind, fields, timeoutMs);
  }

  /** One that seals `count` secrets under the newest term. */
  async requestSealing(
    kind: number,
    fields: readonly Uint8Array[],
    { timeoutMs, count = 1 }: { readonly timeoutMs?: number; readonly count?: number } = {},
  ): Promise<readonly Uint8Array[]> {
    this.#beforeSealing(count);
    return await this.#signer.request(kind, fields, timeoutMs);
  }

  get unsealed(): boolean {
    return this.#unsealed && this.#signer.state === 'ready';
  }

  /** Throws `unavailable` while the signer process is being replaced, `sealed` when somebody has to unseal. */
  requireUnsealed(): void {
    if (this.unsealed) return;
    if (this.#lost) {
      throw new CountersignError(
        'unavailable',
        'the signer process is being restarted: try again in a moment',
      );
    }
    throw new CountersignError('sealed', 'the service is sealed: unseal it first');
  }

  /** The signer process has gone, and what it held with it. Until `settle`, that may mend itself. */
  lose(): void {
    this.#lost = true;
    this.#forget();
  }

  /** The new signer process is as sealed or unsealed as it gets without a person. */
  settle(): void {
    this.#lost = false;
  }

  #forget(): void {
    this.#epoch++;
    this.#unsealed = false;
    this.#handles.clear();
  }

  /** Makes a root keyring and its seal. `secret` is of a seal that has one from outside; it is wiped. */
  async createKeyring(choice: NewSeal, secret: Buffer): Promise<NewKeyring> {
    try {
      const epoch = this.#epoch;
      const fields = [json(choice), secret];
      const [sealed, config, ...shares] = await this.#signer.request(
        REQUEST.createKeyring,
        fields,
        KDF_TIMEOUT_MS,
      );
      this.opened(epoch);
      return {
        sealed: Buffer.from(required(sealed)),
        config: sealConfigSchema.parse(JSON.parse(asBuffer(required(config)).toString())),
        shares: shares.map(asBuffer),
      };
    } finally {
      wipe(secret);
    }
  }

  /** Opens the root keyring; `wrong_password` when the secret is not the one. The secret is wiped. */
  async unseal(config: SealConfig, secret: Buffer, sealedKeyring: Uint8Array): Promise<void> {
    try {
      const epoch = this.#epoch;
      await this.#signer.request(REQUEST.unseal, [json(config), secret, sealedKeyring], KDF_TIMEOUT_MS);
      this.opened(epoch);
    } finally {
      wipe(secret);
    }
  }

  /** When it returns, no process holds a key: either the signer process has wiped them, or it is gone. */
  async seal(): Promise<void> {
    this.#forget();
    try {
      await this.#signer.request(REQUEST.seal, []);
    } catch (error) {
      if (!(error instanceof CountersignError && error.code === 'unavailable')) throw error;
    }
  }

  /** The signer process has the keyring. Throws `sealed` when there was a sealing since `epoch`. */
  opened(epoch: number): void {
    if (epoch !== this.#epoch) throw new CountersignError('sealed', 'the service was sealed meanwhile');
    this.#handles.clear();
    this.#unsealed = true;
  }

  async generate(key: NewKey): Promise<SealedKey> {
    return sealedKey(key, await this.requestSealing(REQUEST.generate, [json(key)]));
  }

  /** What the signer process says is r ‖ s ‖ yParity of the preimage's digest; for {@link CheckedSigner} to check. */
  async sign(key: KeyMaterial, operation: Operation, preimage: Uint8Array): Promise<Uint8Array> {
    const [signature] = await this.use(key, REQUEST.sign, [OPERATION_BYTES[operation], preimage]);
    return required(signature);
  }

  /** An Ed25519 signature over a checkpoint's text; the signer process refuses any other text. */
  async signCheckpoint(key: KeyMaterial, text: string): Promise<Uint8Array> {
    const [signature] = await this.use(key, REQUEST.signCheckpoint, [Buffer.from(text)]);
    return required(signature);
  }

  /** An Ed25519 signature over the text of a rotation away from this key; the signer process refuses any other text. */
  async signKeyRotation(key: KeyMaterial, text: string): Promise<Uint8Array> {
    const [signature] = await this.use(key, REQUEST.signKeyRotation, [Buffer.from(text)]);
    return required(signature);
  }

  /** The secret of a principal's one-time codes (RFC 6238), made and sealed in the signer process. */
  async newTotp(principalId: string): Promise<NewTotp> {
    this.requireUnsealed();
    const [sealed, secret] = await this.requestSealing(REQUEST.newTotp, [Buffer.from(principalId)]);
    return { sealed: Buffer.from(required(sealed)), secret: asBuffer(required(secret)) };
  }

  /**
   * The time step that a code is of, the current one or a neighbour; undefined for a wrong code.
   * @param time milliseconds since 1970
   */
  async matchTotp(
    principalId: string,
    sealed: Uint8Array,
    code: string,
    time: number,
  ): Promise<number | undefined> {
    this.requireUnsealed();
    const moment = Buffer.alloc(8);
    moment.writeDoubleBE(time);
    const fields = [Buffer.from(principalId), sealed, Buffer.from(code), moment];
    const [step] = await this.#signer.request(REQUEST.matchTotp, fields);
    return step === undefined ? undefined : asBuffer(step).readDoubleBE(0);
  }

  /**
   * When it returns, no process holds the opened key: the signer process has wiped it, or is gone. Nobody may ask for it
   * meanwhile: it would be opened again.
   */
  async unload({ keyId, version }: Pick<SealedIdentity, 'keyId' | 'version'>): Promise<void> {
    const name = `${keyId}/${version}`;
    const handle = this.#handles.get(name);
    if (handle === undefined) return;
    this.#handles.delete(name);
    try {
      await this.#signer.request(REQUEST.unload, [handleBytes(handle)]);
    } catch (error) {
      // Gone, or about to be killed because it hangs.
      if (!(error instanceof CountersignError && error.code === 'unavailable')) throw error;
    }
  }

  /**
   * A sealed key is sent just ahead of the first request that needs it. The signer process answers in order, so
   * that nobody waits for the loading; when it fails, its error is the one that the caller sees. Throws at once what
   * {@link requireUnsealed} throws.
   */
  use(
    material: KeyMaterial,
    kind: number,
    fields: readonly Uint8Array[],
    timeoutMs?: number,
  ): Promise<readonly Uint8Array[]> {
    this.requireUnsealed();
    const { keyId, version } = material.identity;
    const name = `${keyId}/${version}`;
    const known = this.#handles.get(name);
    if (known === undefined) return this.#openAndUse(name, material, kind, fields, timeoutMs);
    return this.#signer.request(kind, [handleBytes(known), ...fields], timeoutMs);
  }

  async #openAndUse(
    name: string,
    { identity, sealed }: KeyMaterial,
    kind: number,
    fields: readonly Uint8Array[],
    timeoutMs?: number,
  ): Promise<readonly Uint8Array[]> {
    const handle = this.#nextHandle++;
    this.#handles.set(name, handle);
    const loaded = this.#signer
      .request(REQUEST.load, [handleBytes(handle), json(identity), sealed])
      .catch((error: unknown) => {
        if (this.#handles.get(name) === handle) this.#handles.delete(name);
        throw error;
      });
    const [load, answer] = await Promise.allSettled([
      loaded,
      this.#signer.request(kind, [handleBytes(handle), ...fields], timeoutMs),
    ]);
    if (load.status === 'rejected') throw load.reason;
    if (answer.status === 'rejected') throw answer.reason;
    return answer.value;
  }
}

function handleBytes(handle: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(handle);
  return bytes;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
