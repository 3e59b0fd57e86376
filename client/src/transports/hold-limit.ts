/** How long the way to the server lets a request be held: what gateways were seen to cut. Pure. */

/** Of the age at which a request was cut: the way there and back takes its share. */
const SAFE_SHARE = 0.9;
/** A path may heal: the whole wait is tried again after this. */
const TRY_AGAIN_MS = 10 * 60_000;

export class HoldLimit {
  /** The age at which a held request was cut. */
  private cutMs = Number.POSITIVE_INFINITY;
  private tryAgainAtMs = Number.NEGATIVE_INFINITY;
  /** One cut may have been a server that was restarted; two in a row are a gateway. */
  isKnown = false;

  /** How long to ask for, in whole seconds unless it is all that is wanted; 0: not at all. */
  waitSeconds(wantedSeconds: number, nowMs: number): number {
    if (!this.isKnown || nowMs >= this.tryAgainAtMs) return wantedSeconds;
    return Math.min(wantedSeconds, Math.floor((SAFE_SHARE * this.cutMs) / 1000));
  }

  /** A request that was to be held for `waitSeconds` was cut after `ageMs`, and the server was there right after. */
  cut(waitSeconds: number, ageMs: number, nowMs: number): void {
    const cutMs = Math.min(ageMs, waitSeconds * 1000);
    this.isKnown ||= this.cutMs < Number.POSITIVE_INFINITY;
    this.cutMs = cutMs;
    if (this.isKnown && nowMs >= this.tryAgainAtMs) this.tryAgainAtMs = nowMs + TRY_AGAIN_MS;
  }

  /** A request that was to be held for `waitSeconds` was answered after `ageMs`. */
  answered(waitSeconds: number, ageMs: number): void {
    if (waitSeconds * 1000 <= this.cutMs || ageMs <= this.cutMs) return;
    this.cutMs = Number.POSITIVE_INFINITY;
    this.isKnown = false;
  }
}
