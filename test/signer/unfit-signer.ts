import { Socket } from 'node:net';
import { ANSWER, FrameWriter } from '../../src/signer/link.ts';

/** A signer process that finds itself unfit, as one does on a machine whose primitives are wrong. */
const socket = new Socket({ fd: 3 });
socket.on('error', () => process.exit(0));
const failed = Buffer.from(JSON.stringify({ failed: ['low s'] }));
new FrameWriter(socket).send({ kind: ANSWER.ready, id: 0, fields: [failed] });
