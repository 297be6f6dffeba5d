import type { Command } from 'commander';
import { addAuditCommands } from './audit.ts';
import { addBackupCommands } from './backup.ts';
import { addKeyCommands } from './key.ts';
import { addPolicyCommands } from './policy.ts';
import { addPrincipalCommands } from './principal.ts';
import type { Host } from './session.ts';
import { addRekeyCommands } from './rekey.ts';
import { addRequestCommands } from './request.ts';
import { addRotationCommands } from './rotation.ts';
import { addSealCommands } from './seal.ts';
import { addSignCommands } from './sign.ts';
import { addSystemCommands } from './system.ts';
import { addTokenCommands } from './token.ts';
import { addTotpCommands } from './totp.ts';

/** All commands but `start`. What they load beyond the client, they load when they run. */
export function addClientCommands(program: Command, host: Host): void {
  addSystemCommands(program, host);
  addSealCommands(program, host);
  addRekeyCommands(program, host);
  addKeyCommands(program, host);
  addRotationCommands(program, host);
  addSignCommands(program, host);
  addRequestCommands(program, host);
  addPrincipalCommands(program, host);
  addTokenCommands(program, host);
  addTotpCommands(program, host);
  addPolicyCommands(program, host);
  addAuditCommands(program, host);
  addBackupCommands(program, host);
}
