/** How long the way to the server lets a request be held: what gateways were seen to cut. Pure. */

/** Of the age at which a request was cut: the way there and back takes its share. */
const SAFE_SHARE = 0.9;
/** A path may heal: the whole wait is tried again after this. */
const TRY_AGAIN_MS = 10 * 60_000;

export class HoldLimit {
  /** The age at which held requests are cut: one cut may be anything, two in a row are a gateway. */
  private limitMs = Number.POSITIVE_INFINITY;
  /** The age of the last one that was cut, unless a longer one has been answered since. */
  private lastMs = Number.POSITIVE_INFINITY;
  private tryAgainAtMs = Number.NEGATIVE_INFINITY;

  get isKnown(): boolean {
    return this.limitMs < Number.POSITIVE_INFINITY;
  }

  /** How long to ask for, in whole seconds unless it is all that is wanted; 0: not at all. */
  waitSeconds(wantedSeconds: number, nowMs: number): number {
    if (!this.isKnown || nowMs >= this.tryAgainAtMs) return wantedSeconds;
    return Math.min(wantedSeconds, Math.floor((SAFE_SHARE * this.limitMs) / 1000));
  }

  /** A request that was to be held for `waitSeconds` was cut after `ageMs`, and the server was there right after. */
  cut(waitSeconds: number, ageMs: number, nowMs: number): void {
    const cutMs = Math.min(ageMs, waitSeconds * 1000);
    // The one of the two that lasted longer shows that nothing cuts any earlier.
    this.limitMs = Math.max(this.lastMs, cutMs);
    this.lastMs = cutMs;
    if (this.isKnown && nowMs >= this.tryAgainAtMs) this.tryAgainAtMs = nowMs + TRY_AGAIN_MS;
  }

  /** A request that was to be held for `waitSeconds` was answered after `ageMs`. */
  answered(waitSeconds: number, ageMs: number): void {
    const heldMs = Math.min(waitSeconds * 1000, ageMs);
    if (heldMs > this.limitMs) this.limitMs = Number.POSITIVE_INFINITY;
    if (heldMs > this.lastMs) this.lastMs = this.limitMs;
  }
}
