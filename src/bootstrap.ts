import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { AccessService } from './access/access.ts';
import { newCredential } from './access/credentials.ts';
import type { AccessReads, AccessWrites, Principal } from './access/principals.ts';
import type { Role } from './access/roles.ts';
import { systemAct, type Act } from './audit/act.ts';
import type { Recorder } from './audit/log.ts';
import type { Config } from './config.ts';
import { CountersignError } from './errors.ts';
import { writePrivateFile } from './files.ts';
import type { JsonValue } from './jcs.ts';
import type { KeyWrites } from './keystore/keys.ts';
import {
  compilePolicy,
  loadPolicy,
  type CompiledPolicy,
  type PolicyInForce,
  type PolicyReads,
  type PolicyWrites,
} from './policy/policy.ts';
import { STARTER_POLICY } from './policy/starter.ts';
import type { KeyService } from './signer/keys.ts';

/** What a start finds or makes in the data directory beside the database. */
export const POLICY_FILE = 'policy.yaml';
export const ADMIN_TOKEN_FILE = 'admin.token';
export const DEMO_TOKEN_FILE = 'demo.token';
export const SEAL_KEY_FILE = 'seal.key';
export const DEMO_KEY = 'demo';

type BootTx = PolicyWrites & AccessWrites & KeyWrites;

export interface FirstStart {
  readonly adminTokenFile: string;
  /** Absent where no demo was asked for, or the service was still sealed. */
  readonly demo?: { readonly tokenFile: string; readonly address: string };
}

/**
 * Puts the newest stored policy in force; where there is none yet, the file's, which becomes the first. After that
 * the file is not used: the policy changes through proposals. What is wrong with it is said by the policy in force, and
 * nothing is signed until it is mended.
 *
 * @returns what whoever started the service should know.
 */
export async function loadNewestPolicy(
  directory: string,
  reads: PolicyReads,
  recorder: Recorder<PolicyWrites>,
  inForce: PolicyInForce,
): Promise<string[]> {
  const file = path.join(directory, POLICY_FILE);
  try {
    const stored = reads.newestPolicy();
    if (stored === undefined) {
      if (!existsSync(file)) writePrivateFile(file, Buffer.from(STARTER_POLICY));
      inForce.use(await storeFirst(systemAct(recorder), loadPolicy(readFileSync(file, 'utf8'), file)));
      return [];
    }
    const policy = compilePolicy(JSON.parse(stored.document) as JsonValue);
    if (policy.hash !== stored.hash || policy.revision !== stored.revision) {
      throw new CountersignError(
        'unavailable',
        'the stored policy does not have the hash it was stored with: it was changed from outside; propose a new one',
      );
    }
    inForce.use(policy);
    return existsSync(file) && !holds(file, policy)
      ? [
          `${POLICY_FILE} differs from the policy in force (revision ${policy.revision}) and is not used: ` +
            `propose it with countersign policy propose ${file}`,
        ]
      : [];
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    inForce.fail(error.message);
    return [];
  }
}

/** Whether a file has the content of a policy; what does not compile has not. */
function holds(file: string, { hash }: CompiledPolicy): boolean {
  try {
    return loadPolicy(readFileSync(file, 'utf8'), file).hash === hash;
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return false;
  }
}

async function storeFirst(act: Act<PolicyWrites>, policy: CompiledPolicy): Promise<CompiledPolicy> {
  const { revision, hash, json } = policy;
  await act.commit({ kind: 'policy.loaded', outcome: 'done', detail: { revision, hash } }, (tx) => {
    const stored = { revision, document: json, hash, parentHash: null, suites: [] };
    tx.insertPolicy(stored, new Date().toISOString());
    return {};
  });
  return policy;
}

/**
 * Makes the first principals and the demo, once. The admin comes last and closes the first start, so that a start
 * that was cut off is taken up by the next one.
 */
export async function completeFirstStart(
  config: Config,
  parts: {
    readonly reads: AccessReads;
    readonly recorder: Recorder<BootTx>;
    readonly access: AccessService;
    readonly keys: KeyService;
    readonly unsealed: boolean;
  },
): Promise<FirstStart | undefined> {
  const { reads, recorder, keys } = parts;
  const act = systemAct(recorder);
  if (reads.principals().some(({ name }) => name === 'admin')) return undefined;

  const tokenFile = path.join(config.data, DEMO_TOKEN_FILE);
  let demo: FirstStart['demo'];
  if (config.demo && parts.unsealed) {
    const found = keys.directory.list({}, '', 1)[0];
    const key = found ?? (await keys.create(act, { name: DEMO_KEY, tags: ['demo'] }));
    await ensurePrincipal(act, reads, 'demo', ['signer'], tokenFile);
    demo = { tokenFile, address: keys.version(key, key.primary).address };
  }
  const adminTokenFile = path.join(config.data, ADMIN_TOKEN_FILE);
  await ensurePrincipal(act, reads, 'admin', ['admin', 'policy-admin', 'operator'], adminTokenFile);
  return { adminTokenFile, ...(demo !== undefined && { demo }) };
}

async function ensurePrincipal(
  act: Act<AccessWrites>,
  reads: AccessReads,
  name: string,
  roles: readonly Role[],
  tokenFile: string,
): Promise<void> {
  if (reads.principals().some((principal) => principal.name === name)) return;
  const createdAt = new Date().toISOString();
  const principal: Principal = { id: crypto.randomUUID(), name, roles, state: 'enabled', createdAt };
  const { credential, token } = newCredential(principal.id);
  // Before the commit: a token that is not in force yet is better than a principal whose token nobody has.
  writePrivateFile(tokenFile, Buffer.from(`${token}\n`));
  const detail = { id: principal.id, name, roles, credential: credential.id };
  await act.commit({ kind: 'principal.created', outcome: 'done', detail }, (tx) => {
    tx.insertPrincipal(principal);
    tx.insertCredential(credential);
    return {};
  });
}
