import { setTimeout as sleep } from 'node:timers/promises';
import { expectStatus, type Client } from '../service.ts';

/** What tests of rotations ask of a running service. */

export interface Version {
  readonly version: number;
  readonly address: string;
  readonly state: string;
}

export interface RotatedKey {
  readonly primary: number;
  readonly versions: readonly Version[];
}

export interface RotationAnswer {
  readonly id: string;
  readonly state: string;
  readonly holdup?: string;
  readonly note?: string;
}

export const DAY = 86_400_000;

export const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
rules:
  - id: messages
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [message]
  - id: transfers
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [transaction]
    when: { all: [{ chainId: { eq: 31337 } }, { maxTotalFee: { lte: "0.05 ether" } }] }
`;

export async function keyOf(client: Client, name: string): Promise<RotatedKey> {
  return expectStatus(200, await client.get<RotatedKey>(`/v1/keys/${name}`));
}

export async function rotationOf(client: Client, id: string): Promise<RotationAnswer> {
  return expectStatus(200, await client.get<RotationAnswer>(`/v1/rotations/${id}`));
}

/** The newest rotation of a key. */
export async function newestOf(client: Client, name: string): Promise<RotationAnswer | undefined> {
  const path = `/v1/rotations?key=${name}&limit=1`;
  return expectStatus(200, await client.get<{ items: RotationAnswer[] }>(path)).items[0];
}

export async function begin(client: Client, name: string, body: object = {}): Promise<RotationAnswer> {
  return expectStatus(201, await client.post<RotationAnswer>(`/v1/keys/${name}/rotations`, body));
}

/** Throws when the state is not reached in time. */
export async function untilState(
  client: Client,
  id: string,
  state: string,
  limitMs = 10_000,
): Promise<RotationAnswer> {
  const end = performance.now() + limitMs;
  for (;;) {
    const rotation = await rotationOf(client, id);
    if (rotation.state === state) return rotation;
    if (performance.now() > end) throw new Error(`${state} was not reached: ${JSON.stringify(rotation)}`);
    await sleep(20);
  }
}
