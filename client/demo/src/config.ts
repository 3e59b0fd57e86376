/** What the page has to know about where it runs, from `config.json` beside it. */
export type Folder = 'queued' | 'input' | 'output';

export interface DemoConfig {
  /** Up to and without `/cases/storage/status`. */
  readonly statusUrl: string;
  /** The storage account, without a slash at the end. */
  readonly blobUrl: string;
  /** Query string with the right to write, read and delete; without `?`. */
  readonly sas: string;
  readonly containers: Readonly<Record<Folder, string>>;
  /** The app also counts by the first segment of the names. */
  readonly cases: boolean;
  /** Bearer token, where the API wants one. */
  readonly token?: string;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

/** Throws an Error that says which member is missing. */
export function parseConfig(value: unknown): DemoConfig {
  const config = (value ?? {}) as Partial<DemoConfig>;
  for (const name of ['statusUrl', 'blobUrl', 'sas'] as const) {
    if (!isText(config[name])) throw new Error(`config.json: "${name}" is missing.`);
  }
  for (const folder of ['queued', 'input', 'output'] as const) {
    if (!isText(config.containers?.[folder])) throw new Error(`config.json: "containers.${folder}" is missing.`);
  }
  const { statusUrl, blobUrl, sas, containers, token } = config as DemoConfig;
  const trimmed = { statusUrl: statusUrl.replace(/\/+$/, ''), blobUrl: blobUrl.replace(/\/+$/, '') };
  const cases = config.cases === true;
  return { ...trimmed, sas: sas.replace(/^\?/, ''), containers, cases, ...(isText(token) && { token }) };
}

export async function loadConfig(): Promise<DemoConfig> {
  const response = await fetch('./config.json', { cache: 'no-store' });
  if (!response.ok) throw new Error(`config.json: answer ${response.status}. Is the page served by its own server?`);
  return parseConfig(await response.json());
}
