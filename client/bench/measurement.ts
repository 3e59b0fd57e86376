/** What a measurement gives to `run.mjs`. */
export interface Measurement {
  readonly result: Readonly<Record<string, unknown>>;
  /** `false` makes the command fail. */
  readonly withinLimit: boolean;
}
