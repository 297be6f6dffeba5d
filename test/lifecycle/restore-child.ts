import { openBackup } from '../../src/backup/decode.ts';
import { restore } from '../../src/backup/restore.ts';
import { snapshotFiles } from '../../src/storage/sqlite/snapshot.ts';

/** Restores as `countersign backup restore` does, and kills itself at a stage: argv has JSON with all that it takes. */
const { file, identity, target, vkey, stage } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly file: string;
  readonly identity: string;
  readonly target: string;
  readonly vkey: string;
  readonly stage: string;
};

await restore({
  backup: await openBackup(file, { identities: [identity] }),
  target,
  files: snapshotFiles,
  trust: { vkey, held: [] },
  probe: (reached) => {
    if (reached === stage) process.kill(process.pid, 'SIGKILL');
  },
});
