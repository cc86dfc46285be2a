/** Runs asynchronous steps one after the other: a negotiation must end before the next begins. */
export class Serial {
  #last = Promise.resolve();

  /** Run `step` after all earlier ones have ended, however they ended; its result. */
  run(step) {
    const result = this.#last.then(step, step);
    this.#last = result.catch(() => {});
    return result;
  }
}
