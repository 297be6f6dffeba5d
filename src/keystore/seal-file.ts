import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { CountersignError } from '../errors.ts';
import { writePrivateFile } from '../files.ts';
import { wipe } from '../bytes.ts';
import { SEAL_KEY_BYTES } from './seal.ts';

/** The 32 random bytes beside the data that open the keyring of the `file` seal. */
export function sealKeyFile(file: string): { ensure(): Buffer; read(): Buffer } {
  const read = (): Buffer => {
    let mode: number;
    let key: Buffer;
    try {
      mode = statSync(file).mode;
      key = readFileSync(file);
    } catch (error) {
      throw new CountersignError('unavailable', `the seal key file ${file} cannot be read`, [], error);
    }
    if ((mode & 0o077) !== 0) {
      wipe(key);
      throw new CountersignError('unavailable', `the seal key file ${file} is open to others: chmod 600 it`);
    }
    if (key.length !== SEAL_KEY_BYTES) {
      wipe(key);
      throw new CountersignError(
        'unavailable',
        `the seal key file ${file} does not hold ${SEAL_KEY_BYTES} bytes`,
      );
    }
    return key;
  };
  return {
    read,
    ensure: () => {
      if (!existsSync(file)) {
        const key = randomBytes(SEAL_KEY_BYTES);
        try {
          writePrivateFile(file, key);
        } finally {
          wipe(key);
        }
      }
      return read();
    },
  };
}
