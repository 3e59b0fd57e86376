import { build } from 'vite';

/** A file of `src/` as an app bundles it: a minified ES module, with its dependency. */
export async function bundle(file: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      target: 'es2022',
      rolldownOptions: {
        input: new URL(`../../src/${file}`, import.meta.url).pathname,
        preserveEntrySignatures: 'strict',
      },
    },
  });
  const outputs = [result].flat().flatMap((bundled) => ('output' in bundled ? bundled.output : []));
  return outputs.map((chunk) => ('code' in chunk ? chunk.code : '')).join('');
}
