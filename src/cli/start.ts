import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CountersignError } from '../errors.ts';
import { loadConfig, type Config, type Flags } from '../config.ts';
import { createLog } from '../log.ts';
import { startService, type RunningService } from '../main.ts';
import type { Terminal } from './terminal.ts';

/** Runs the service until SIGTERM or SIGINT; SIGHUP reads the TLS files again. Logs go to standard error, what a person should read to standard output. */
export async function start(
  flags: Flags,
  takeOverReason: string | undefined,
  environment: NodeJS.ProcessEnv,
  terminal: Terminal,
): Promise<void> {
  // What the service writes is its own.
  process.umask(0o077);
  const config = loadConfig(flags, environment);
  if (takeOverReason !== undefined) {
    const { takenText, takeOver } = await import('./backup-take-over.ts');
    terminal.out(takenText(await takeOver(config.data, takeOverReason)));
  }
  const log = createLog(config.logLevel, process.stderr);
  const stopRequested = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
  const service = await startService(config, log).catch((error: unknown) => {
    if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      const { host, port } = config.listen;
      throw new CountersignError(
        'conflict',
        `${host}:${port} is in use: stop what listens there, or use another --listen`,
      );
    }
    throw error;
  });
  process.on('SIGHUP', () => {
    try {
      service.reload();
      log.info('tls.reloaded');
    } catch (error) {
      log.error('tls.reload_failed', { reason: error instanceof Error ? error.message : 'unknown' });
    }
  });
  terminal.out(greeting(service, config));
  await stopRequested;
  await service.stop();
}

function greeting({ url, firstStart, notes, notReady }: RunningService, config: Config): string {
  const reasons = notReady();
  const lines = [`countersign listens on ${url}`];
  if (reasons.length === 0) lines.push('ready to sign');
  else lines.push('NOT ready to sign:', ...reasons.map((reason) => `  ${reason}`));
  lines.push(...notes);
  if (firstStart === undefined) return lines.join('\n');

  const directory = relative(config.data);
  const admin = relative(firstStart.adminTokenFile);
  lines.push(
    '',
    `First start. New in ${directory}: the database, policy.yaml, and admin.token (keep it safe).`,
  );
  if (config.seal === 'file') {
    lines.push(
      'seal.key opens the seal and lies beside the data: good for trying, not for money (--seal passphrase).',
    );
  }
  const command = relative(fileURLToPath(new URL('../../bin/countersign', import.meta.url)));
  const options = url === 'http://127.0.0.1:8700' ? '' : ` --url ${url}`;
  if (firstStart.demo !== undefined) {
    lines.push(
      '',
      `A key named demo (${firstStart.demo.address}) and a signer's credential for it are there. Sign a transaction:`,
      '',
      curl(url, relative(firstStart.demo.tokenFile)),
      '',
      'Then look at the key, and check the log:',
      '',
    );
  } else lines.push('', 'Next:', '');
  if (config.seal !== 'file') {
    const choice = config.seal === 'shamir' ? ' --shares 5 --threshold 3' : '';
    lines.push(`  ${command} init${choice} --token-file ${admin}${options}`);
  }
  lines.push(
    `  ${command} key list --token-file ${admin}${options}`,
    `  ${command} audit verify --token-file ${admin}${options}`,
    '',
    `API to read: ${url}/docs`,
  );
  return lines.join('\n');
}

function curl(url: string, tokenFile: string): string {
  const transaction = {
    type: 2,
    chainId: 31337,
    nonce: 0,
    to: '0x000000000000000000000000000000000000dEaD',
    value: '1000000000000000',
    gasLimit: 21000,
    maxFeePerGas: '2000000000',
    maxPriorityFeePerGas: '1000000000',
  };
  return [
    `  curl -s ${url}/v1/keys/demo/sign/transaction \\`,
    `    -H "Authorization: Bearer $(cat ${tokenFile})" -H 'Content-Type: application/json' \\`,
    `    -d '${JSON.stringify({ transaction })}'`,
  ].join('\n');
}

/** As the person who started it would type it. */
function relative(file: string): string {
  const fromHere = path.relative(process.cwd(), file);
  return fromHere.startsWith('..') ? file : fromHere;
}
