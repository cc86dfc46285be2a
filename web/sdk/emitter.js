/** Named events with listeners; a listener that throws is reported and does not stop the others. */
export class Emitter {
  #listeners = new Map();

  /** Call `listener` with each payload of `name`; returns the function that stops it. */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.off(name, listener);
  }

  /** Stop a listener that `on` added. */
  off(name, listener) {
    this.#listeners.get(name)?.delete(listener);
  }

  /** Deliver `payload` to the listeners of `name`, in the order in which they were added. */
  emit(name, payload) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(payload);
      } catch (error) {
        reportError(error);
      }
    }
  }
}
