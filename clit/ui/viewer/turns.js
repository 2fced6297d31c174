// @ts-check
// One thing at a time, the most urgent first: what waits and is over by then is passed by.

/** @typedef {{urgency: number, isOver: () => boolean, go: (value: any) => void}} Waiting */

export class Turns {
  constructor() {
    this.busy = false;
    /** @type {Waiting[]} */
    this.waiting = [];
  }

  /**
   * Do something when its turn comes; null where it is over by then. A smaller `urgency` comes first.
   * @template T
   * @param {number} urgency @param {() => boolean} isOver @param {() => Promise<T>} work @returns {Promise<T | null>}
   */
  async take(urgency, isOver, work) {
    if (this.busy) await new Promise((go) => this.waiting.push({ urgency, isOver, go }));
    this.busy = true;
    try {
      return isOver() ? null : await work();
    } finally {
      this.pass();
    }
  }

  /** Whether something more urgent waits. @param {number} urgency */
  isWanted = (urgency) => this.waiting.some((each) => each.urgency < urgency && !each.isOver());

  pass() {
    const next = this.waiting.reduce((best, each) => (!best || each.urgency < best.urgency ? each : best), /** @type {Waiting | null} */ (null));
    this.waiting = this.waiting.filter((each) => each !== next);
    if (next) next.go(null);
    else this.busy = false;
  }
}
