import { stripTypeScriptTypes, type LoadHook } from 'node:module';

/** Hands TypeScript on as JavaScript, so that the hooks that instrument it can read it. Positions stay. */
export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  if (loaded.format !== 'module-typescript' || !loaded.source) return loaded;
  const source = stripTypeScriptTypes(Buffer.from(loaded.source as Uint8Array).toString());
  return { ...loaded, format: 'module', source };
};
