const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** After what time a call that then breaks counts as progress, even if the job wrote nothing meanwhile. */
export const STANDING_MS = 1_000;

/** Decides how long to wait for a broken connection, and when to give up; it reads no clock. All times are milliseconds. */
export class Outage {
  #since: number | undefined; // undefined while all is well
  #pauses = 0;

  constructor(readonly patienceMs: number) {}

  /** Takes note of progress. */
  over(): void {
    this.#since = undefined;
    this.#pauses = 0;
  }

  /** Takes note that a call broke which had reached the daemon and stood for some time. */
  stood(durationMs: number): void {
    if (durationMs >= STANDING_MS) this.over();
  }

  /**
   * Returns how long to wait before the next attempt, or undefined to give up. Chance is a random number from 0 to 1, so
   * that many clients do not come back at the same moment.
   */
  pause(nowMs: number, chance: number): number | undefined {
    this.#since ??= nowMs;
    if (nowMs - this.#since >= this.patienceMs) return undefined;
    const longest = Math.min(FIRST_PAUSE_MS * 2 ** this.#pauses, LONGEST_PAUSE_MS);
    this.#pauses++;
    return (longest * (1 + chance)) / 2;
  }
}
