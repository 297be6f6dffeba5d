import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { recoverAddress as ethersRecover } from 'ethers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatCheckpoint } from '../../src/audit/tree/checkpoint.ts';
import { formatKeyRotation } from '../../src/audit/tree/key-rotation.ts';
import { formatVkey, noteSignature, verifyNote } from '../../src/audit/tree/note.ts';
import { fromHex, toHex } from '../../src/bytes.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { preimageOf } from '../../src/intent/preimage.ts';
import { newKdfParams } from '../../src/keystore/kdf.ts';
import { splitSignature } from '../../src/secp256k1.ts';
import { Custody } from '../../src/signer/custody.ts';
import type { KeyMaterial } from '../../src/signer/sealed-key.ts';
import { TransferCustody } from '../../src/signer/transfer-custody.ts';
import { SignerSupervisor } from '../../src/signer/supervisor.ts';

const FILE = { type: 'file' } as const;
const GENERATED = { keyId: 'a-key', version: 1, curve: 'secp256k1' } as const;
const LOG = { keyId: 'log', version: 1, curve: 'ed25519' } as const;

const preimage = preimageOf(parseIntent('message', { message: 'hello' }));

let supervisor: SignerSupervisor;
let custody: Custody;
let lost: string[];
let ready: PromiseWithResolvers<void>;

beforeEach(async () => {
  lost = [];
  ready = Promise.withResolvers();
  supervisor = new SignerSupervisor({
    onReady: () => ready.resolve(),
    onLost: (reason) => {
      lost.push(reason);
      custody.lose();
    },
  });
  custody = new Custody(supervisor);
  await supervisor.start();
});

afterEach(async () => {
  supervisor.retire();
  await supervisor.stop();
});

async function newKey(): Promise<KeyMaterial> {
  const { address, sealed } = await custody.generate(GENERATED);
  return { identity: { ...GENERATED, address }, sealed };
}

describe('the signer process', () => {
  it('does nothing with keys while it is sealed', async () => {
    await expect(custody.generate(GENERATED)).rejects.toMatchObject({ code: 'sealed' });
    const material = {
      identity: { ...GENERATED, address: `0x${'11'.repeat(20)}` },
      sealed: Buffer.alloc(65),
    };
    await expect(custody.sign(material, 'message', preimage)).rejects.toMatchObject({ code: 'sealed' });
  });

  it('signs with a key that it made, and the signature recovers to the key', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const key = await newKey();
    const { r, s, yParity } = splitSignature(await custody.sign(key, 'message', preimage));
    const signature = toHex(Buffer.concat([r, s, Buffer.from([27 + yParity])]));
    expect(ethersRecover(keccak_256(preimage), signature).toLowerCase()).toBe(key.identity.address);
  });

  it('opens its keyring again with the same secret only', async () => {
    const secret = randomBytes(32);
    const { sealed: keyring } = await custody.createKeyring(FILE, Buffer.from(secret));
    const key = await newKey();
    const before = await custody.sign(key, 'message', preimage);
    await custody.seal();
    await expect(custody.sign(key, 'message', preimage)).rejects.toMatchObject({ code: 'sealed' });

    await expect(custody.unseal(FILE, randomBytes(32), keyring)).rejects.toMatchObject({
      code: 'wrong_password',
    });
    await custody.unseal(FILE, Buffer.from(secret), keyring);
    const after = await custody.sign(key, 'message', preimage);
    // RFC 6979: the same key and message give the same signature.
    expect(toHex(after)).toBe(toHex(before));
  });

  it('forgets a key that is unloaded, and opens it again only when it is used again', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const key = await newKey();
    const broken = { ...key, sealed: Buffer.alloc(key.sealed.length) };
    await custody.sign(key, 'message', preimage);
    // It is in memory: what sealed it is not looked at.
    await custody.sign(broken, 'message', preimage);
    await custody.unload(key.identity);
    await expect(custody.sign(broken, 'message', preimage)).rejects.toMatchObject({ code: 'unprocessable' });
    await expect(custody.sign(key, 'message', preimage)).resolves.toBeDefined();
  });

  it('has forgotten a key when it is gone, or knows nothing of it', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const key = await newKey();
    await custody.unload(key.identity);
    await custody.sign(key, 'message', preimage);
    process.kill(supervisor.pid!, 'SIGKILL');
    await expect(custody.unload(key.identity)).resolves.toBeUndefined();
  });

  it('wipes the secrets that it was handed', async () => {
    const secret = randomBytes(32);
    await custody.createKeyring(FILE, secret);
    expect(secret.equals(Buffer.alloc(32))).toBe(true);
    const privateKey = randomBytes(32);
    await new TransferCustody(custody).importPrivateKey(GENERATED, privateKey);
    expect(privateKey.equals(Buffer.alloc(32))).toBe(true);
  });

  it('refuses a preimage that is not of the operation', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const key = await newKey();
    const transaction = preimageOf(
      parseIntent('transaction', {
        transaction: {
          chainId: 1,
          nonce: 0,
          to: `0x${'22'.repeat(20)}`,
          value: '1000',
          gasLimit: 21000,
          gasPrice: '1',
        },
      }),
    );
    await expect(custody.sign(key, 'message', transaction)).rejects.toThrow(/preimage|message/);
    await expect(custody.sign(key, 'transaction', preimage)).rejects.toThrow(/preimage|transaction/);
    await expect(custody.sign(key, 'digest', transaction)).rejects.toThrow(/32 bytes/);
    await expect(custody.sign(key, 'transaction', transaction)).resolves.toBeDefined();
  });

  it('refuses a sealed key under another identity, and says that it does not open', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const key = await newKey();
    const other = { ...key, identity: { ...key.identity, keyId: 'another-key' } };
    await expect(custody.sign(other, 'message', preimage)).rejects.toThrow(/does not open/);
    const altered = { ...key, sealed: Buffer.from(key.sealed) };
    altered.sealed[20] = (altered.sealed[20] ?? 0) ^ 1;
    await expect(
      custody.sign({ ...altered, identity: { ...key.identity } }, 'message', preimage),
    ).rejects.toThrow(/does not open/);
    // A failed load leaves nothing behind: the true key still loads and signs.
    await expect(custody.sign(key, 'message', preimage)).resolves.toBeDefined();
  });

  it('signs checkpoints with its Ed25519 key, and no other text', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const { publicKey, sealed } = await custody.generate(LOG);
    const material = { identity: { ...LOG, address: publicKey }, sealed };
    const text = `example.org/log\n5\n${Buffer.alloc(32, 7).toString('base64')}\n`;
    const signature = await custody.signCheckpoint(material, text);
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), fromHex(publicKey)]);
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    expect(verify(null, Buffer.from(text), key, signature)).toBe(true);
    await expect(custody.signCheckpoint(material, 'anything else\n')).rejects.toThrow(/checkpoint/);
    await expect(custody.sign(material, 'message', preimage)).rejects.toThrow(/no such key/);
  });

  it('signs a rotation away from its Ed25519 key, and no other', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const { publicKey, sealed } = await custody.generate(LOG);
    const material = { identity: { ...LOG, address: publicKey }, sealed };
    const root = Buffer.alloc(32, 7);
    const oldVkey = formatVkey('example.org/log', fromHex(publicKey));
    const newVkey = formatVkey('example.org/log', randomBytes(32));
    const text = formatKeyRotation({ size: 5, root, oldVkey, newVkey });
    const signature = await custody.signKeyRotation(material, text);
    const note = { text, signatures: [noteSignature('example.org/log', fromHex(publicKey), signature)] };
    expect(verifyNote(note, oldVkey)).toBe(true);

    const away = formatKeyRotation({ size: 5, root, oldVkey: newVkey, newVkey: oldVkey });
    await expect(custody.signKeyRotation(material, away)).rejects.toThrow(/another key/);
    // Neither way is there for what belongs to the other.
    await expect(custody.signCheckpoint(material, text)).rejects.toThrow(/checkpoint/);
    const checkpoint = formatCheckpoint({ origin: 'example.org/log', size: 5, root });
    await expect(custody.signKeyRotation(material, checkpoint)).rejects.toThrow(/not the rotation/);
    const key = await newKey();
    await expect(custody.signKeyRotation(key, text)).rejects.toThrow(/no such key/);
  });

  it('is replaced when it dies: what was under way fails at once, and the new one is empty', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const key = await newKey();
    const pid = supervisor.pid ?? 0;
    const underWay = Array.from({ length: 50 }, () => custody.sign(key, 'message', preimage));
    process.kill(pid, 'SIGKILL');
    const results = await Promise.allSettled(underWay);
    const failures = results
      .filter((result) => result.status === 'rejected')
      .map(({ reason }) => reason as unknown);
    for (const failure of failures) expect(failure).toMatchObject({ code: 'unavailable' });
    await ready.promise;
    expect(lost).toEqual(['signal SIGKILL']);
    expect(supervisor.pid).not.toBe(pid);
    expect(custody.unsealed).toBe(false);
    await expect(custody.sign(key, 'message', preimage)).rejects.toMatchObject({ code: 'unavailable' });
    custody.settle();
    await expect(custody.sign(key, 'message', preimage)).rejects.toMatchObject({ code: 'sealed' });
  });

  it('is killed and replaced when it hangs', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const key = await newKey();
    process.kill(supervisor.pid ?? 0, 'SIGSTOP');
    await expect(custody.sign(key, 'message', preimage)).rejects.toMatchObject({ code: 'unavailable' });
    await ready.promise;
    expect(lost).toEqual(['signal SIGKILL']);
  }, 20_000);

  it('ends when it is told to, and when its link closes', async () => {
    const pid = supervisor.pid ?? 0;
    supervisor.retire();
    await supervisor.stop();
    await sleep(50);
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  });
});

describe('a seal overtakes', () => {
  const SLOW = { type: 'passphrase', kdf: newKdfParams('scrypt') } as const;

  it('an unsealing whose key is still being derived', async () => {
    const { sealed: keyring } = await custody.createKeyring(SLOW, Buffer.from('correct horse'));
    const key = await newKey();
    await custody.seal();
    const unsealing = custody.unseal(SLOW, Buffer.from('correct horse'), keyring);
    await sleep(30);
    await custody.seal();
    await expect(unsealing).rejects.toMatchObject({ code: 'sealed' });
    expect(custody.unsealed).toBe(false);
    await expect(custody.sign(key, 'message', preimage)).rejects.toMatchObject({ code: 'sealed' });
    await custody.unseal(SLOW, Buffer.from('correct horse'), keyring);
    await expect(custody.sign(key, 'message', preimage)).resolves.toBeDefined();
  });

  it('an unsealing whose answer is under way', async () => {
    const secret = randomBytes(32);
    const { sealed: keyring } = await custody.createKeyring(FILE, Buffer.from(secret));
    await custody.seal();
    const unsealing = custody.unseal(FILE, Buffer.from(secret), keyring);
    const sealing = custody.seal();
    await expect(unsealing).rejects.toMatchObject({ code: 'sealed' });
    await sealing;
    expect(custody.unsealed).toBe(false);
  });

  it('a loss of the process: it is as good as sealed', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    process.kill(supervisor.pid ?? 0, 'SIGKILL');
    await expect(custody.seal()).resolves.toBeUndefined();
    await ready.promise;
    expect(custody.unsealed).toBe(false);
  });
});

describe('the link', () => {
  it('refuses what is too large before it is sent', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const pid = supervisor.pid;
    const large = new TransferCustody(custody).importKeystore(
      GENERATED,
      { padding: 'x'.repeat(1 << 20) },
      Buffer.from('p'),
    );
    await expect(large).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(supervisor.pid).toBe(pid);
    expect(supervisor.state).toBe('ready');
  });

  it('forgives the signer process a standstill of this one', async () => {
    await custody.createKeyring(FILE, randomBytes(32));
    const key = await newKey();
    const pid = supervisor.pid;
    const signing = custody.sign(key, 'message', preimage);
    // The request is on its way; then nothing of this process runs for longer than a request may take, and the
    // timers are the first to run again.
    await new Promise<void>((resolve) => setImmediate(resolve));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6_000);
    await expect(signing).resolves.toBeDefined();
    await sleep(300);
    expect(lost).toEqual([]);
    expect(supervisor.pid).toBe(pid);
  }, 20_000);
});
