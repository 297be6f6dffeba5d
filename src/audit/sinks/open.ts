import { JsonlFile } from './jsonl-file.ts';
import type { SinkSettings } from './settings.ts';
import type { Sink } from './sink.ts';
import { SyslogTls } from './syslog.ts';
import { Webhook } from './webhook.ts';

/** Throws `invalid_request` for files that can't be used. Connects to nothing yet. */
export function openSink(settings: SinkSettings): Sink {
  if (settings.type === 'file') return new JsonlFile(settings.path);
  if (settings.type === 'syslog') return new SyslogTls(settings.name, settings);
  return new Webhook(settings.name, settings);
}

/** In milliseconds: how long entries may be gathered, so that each does not cost an fsync, a handshake or a request. */
export const GATHER_MS: { readonly [type in SinkSettings['type']]: number } = {
  file: 100,
  syslog: 1_000,
  webhook: 500,
};
