import { createServer, connect, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, FrameReader, FrameWriter, MAX_FRAME_BYTES, type Frame } from '../../src/signer/link.ts';

const frames = fc.array(
  fc.record({
    kind: fc.integer({ min: 0, max: 255 }),
    id: fc.integer({ min: 0, max: 0xffff_ffff }),
    fields: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
  }),
  { maxLength: 20 },
);

const plain = ({ kind, id, fields }: Frame): unknown => ({
  kind,
  id,
  fields: fields.map((field) => [...field]),
});

describe('link frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 }), (sent, cuts) => {
        const stream = Buffer.concat(sent.map(encodeFrame));
        const reader = new FrameReader();
        const received: unknown[] = [];
        for (let offset = 0, i = 0; offset < stream.length; i++) {
          const end = offset + (cuts[i % cuts.length] ?? 1);
          received.push(...reader.push(Buffer.from(stream.subarray(offset, end))).map(plain));
          offset = end;
        }
        expect(received).toEqual(sent.map(plain));
      }),
    );
  });

  it('are refused when the length is not one of ours', () => {
    for (const length of [0, 4, MAX_FRAME_BYTES + 1, 0xffff_ffff]) {
      const bytes = Buffer.alloc(16);
      bytes.writeUInt32BE(length);
      expect(() => new FrameReader().push(bytes)).toThrow(/bad frame length/);
    }
  });

  it('are refused when a field is longer than its frame', () => {
    const frame = encodeFrame({ kind: 1, id: 1, fields: [Buffer.from('abc')] });
    frame.writeUInt32BE(4, 9);
    expect(() => new FrameReader().push(frame)).toThrow(/truncated field/);
  });

  it('of one turn of the event loop leave in few writes', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'link-'));
    const address = path.join(folder, 'socket');
    const accepted = Promise.withResolvers<Socket>();
    const server = createServer((socket) => accepted.resolve(socket)).listen(address);
    const client = connect(address);
    const peer = await accepted.promise;
    let writes = 0;
    const write = client.write.bind(client);
    client.write = ((...args: Parameters<typeof write>) => {
      writes++;
      return write(...args);
    }) as typeof client.write;

    const writer = new FrameWriter(client);
    for (let id = 0; id < 100; id++) writer.send({ kind: 8, id, fields: [Buffer.from([id])] });
    const reader = new FrameReader();
    const ids: number[] = [];
    for await (const chunk of peer) {
      ids.push(...reader.push(chunk as Buffer).map((frame) => frame.id));
      if (ids.length === 100) break;
    }
    expect(ids).toEqual(Array.from({ length: 100 }, (_, id) => id));
    // Sixty-four at once, so that the first are answered while the last are being made.
    expect(writes).toBe(2);
    client.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });

  it('of any length come through, and what carried them is wiped', async () => {
    const sizes = [0, 1, 30_000, 40_000, 65_000, 200_000, 3, 65_536 - 13, 65_536 - 12, 1_000_000, 5];
    const written: Buffer[] = [];
    const seen: Buffer[] = [];
    const done: (() => void)[] = [];
    const socket = {
      writable: true,
      write: (bytes: Buffer, callback: () => void) => {
        seen.push(bytes);
        written.push(Buffer.from(bytes));
        done.push(callback);
      },
    } as unknown as Socket;
    const writer = new FrameWriter(socket);
    const sent = sizes.map((size, id) => ({ kind: 8, id, fields: [Buffer.alloc(size, id + 1)] }));
    // Twice, so that memory is used again.
    for (let round = 0; round < 2; round++) {
      for (const frame of sent) writer.send(frame);
      await new Promise<void>((resolve) => setImmediate(resolve));
      const reader = new FrameReader();
      const received = written.splice(0).flatMap((bytes) => reader.push(bytes).map(plain));
      expect(received).toEqual(sent.map(plain));
      for (const callback of done.splice(0)) callback();
      for (const bytes of seen.splice(0)) expect(bytes.equals(Buffer.alloc(bytes.length))).toBe(true);
    }
  });
});
