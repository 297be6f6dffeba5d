import type { Anchor } from './anchor.ts';
import { directoryAnchor } from './directory.ts';
import { fileAnchor } from './file.ts';
import { s3Anchor } from './s3.ts';
import type { AnchorSettings } from './settings.ts';
import { webhookAnchor } from './webhook.ts';

/** Throws `invalid_request` for CA files that can't be read. */
export function openAnchor(settings: AnchorSettings): Anchor {
  switch (settings.type) {
    case 'file':
      return fileAnchor(settings.name, settings.path);
    case 'directory':
      return directoryAnchor(settings.name, settings.path);
    case 'webhook':
      return webhookAnchor(settings);
    case 's3':
    default:
      return s3Anchor(settings);
  }
}
