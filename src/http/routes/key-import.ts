import { z } from 'zod';
import { fromHex, toHex, type Hex } from '../../bytes.ts';
import { invalidField } from '../../errors.ts';
import { HPKE_KEY_BYTES, HPKE_SUITE } from '../../keystore/hpke.ts';
import { MAX_PASSWORD_BYTES, WRAPPING_KEY_LIFE_MS } from '../../keystore/wrapped.ts';
import { importedToJson, type ImportSource } from '../../signer/keys.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { importedShape, newKeySchema, wrappedFields } from '../key-shapes.ts';

const tag = 'Keys';

const sourceSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('wrapped'), ...wrappedFields }).meta({
    description:
      'A private key, or a V3 file and its password, encrypted to a wrapping key: in clear in the signer process only.',
  }),
  z
    .strictObject({ type: z.literal('private-key'), privateKey: z.string() })
    .meta({ description: '32 bytes, hex with 0x.' }),
  z
    .strictObject({
      type: z.literal('web3-v3'),
      keystore: z.record(z.string(), z.unknown()),
      password: z.string().max(MAX_PASSWORD_BYTES),
    })
    .meta({ description: 'A Web3 Secret Storage (version 3) file and its password.' }),
]);

const wrappingKeyShape = z.strictObject({
  id: z.uuid(),
  publicKey: z.string().meta({ description: `X25519, ${HPKE_KEY_BYTES} bytes, hex with 0x.` }),
  suite: z.literal(HPKE_SUITE).meta({ description: 'HPKE (RFC 9180), base mode.' }),
  origin: z.string().meta({ description: 'Of the service; it is part of what a message is bound to.' }),
  expiresAt: z.string().meta({ description: 'RFC 3339, UTC. It works once, and not after this.' }),
});

export function keyImportRoutes({ keys, transfer, origin }: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/keys/import/wrapping-key',
        tag,
        summary: 'A key to encrypt a secret to',
        description:
          'For one import or one password of an export. Its private half stays in the signer process. What to encrypt, and to what it is bound: docs/design/import-export.md.',
        access: ['admin'],
        body: z.strictObject({}),
        answer: { status: 201, description: 'The public key.', schema: wrappingKeyShape },
      },
      async () => {
        const expiresAt = new Date(Date.now() + WRAPPING_KEY_LIFE_MS).toISOString();
        const { id, publicKey } = await transfer.newWrappingKey();
        return { id, publicKey: toHex(publicKey), suite: HPKE_SUITE, origin, expiresAt };
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/keys/import',
        tag,
        summary: 'Import a key',
        description:
          'Keys that the public knows (test mnemonics, published vectors) are refused unless `allowWellKnown`.',
        access: ['admin'],
        body: newKeySchema.extend({
          source: sourceSchema,
          allowWellKnown: z.boolean().default(false),
        }),
        secretBody: true,
        answer: { status: 201, description: 'The key.', schema: importedShape },
      },
      async ({ body: { source, allowWellKnown, ...request } }, { act }) =>
        importedToJson(
          await keys.import(act, request, toSource(source, request.name, origin), allowWellKnown),
        ),
    ),
  ];
}

function toSource(source: z.output<typeof sourceSchema>, keyName: string, origin: string): ImportSource {
  switch (source.type) {
    case 'wrapped': {
      const { type, wrappingKey, enc, ciphertext } = source;
      const message = { enc: fromHex(enc as Hex), ciphertext: fromHex(ciphertext as Hex) };
      return { type, wrapped: { origin, wrappingKey, keyName, ...message } };
    }
    case 'web3-v3': {
      const { type, keystore, password } = source;
      return { type, keystore, password: Buffer.from(password, 'utf8') };
    }
    case 'private-key':
    default:
      if (!/^0x[0-9a-fA-F]{64}$/.test(source.privateKey)) {
        throw invalidField('source.privateKey', 'must be 32 bytes, hex with 0x');
      }
      return { type: source.type, privateKey: Buffer.from(source.privateKey.slice(2), 'hex') };
  }
}
