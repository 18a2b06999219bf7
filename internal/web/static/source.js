// Asking the server again and again.

const interval = 5000; // ms between two answers
const patience = 60_000; // ms for one

export class Source {
  #tag = "";
  #timer = 0;
  #asking = null;
  paused = false;

  /** on has got(graph, time) and failed(reason); time is the server's, in milliseconds. The graph is null if it is the same as before. */
  constructor(address, on) {
    Object.assign(this, { address, on });
    document.addEventListener("visibilitychange", () => !document.hidden && this.ask());
  }

  /** ask asks now, and from then on again and again: not while paused, and not while nobody looks. */
  async ask() {
    clearTimeout(this.#timer);
    if (this.#asking || this.paused) return;
    this.#asking = new AbortController();
    const timer = setTimeout(() => this.#asking.abort(), patience);
    let hand = null;
    try {
      hand = await this.#answer(this.#asking.signal);
    } catch (error) {
      this.on.failed(error.name === "AbortError" ? "no answer within a minute" : error instanceof TypeError ? "it cannot be reached" : error.message);
    } finally {
      clearTimeout(timer);
      this.#asking = null;
      if (!document.hidden) this.#timer = setTimeout(() => this.ask(), interval);
    }
    hand?.(); // what goes wrong with an answer is no lack of it
  }

  /** #answer returns what hands an answer on. */
  async #answer(signal) {
    const response = await fetch(this.address, { signal, cache: "no-store", headers: this.#tag ? { "If-None-Match": this.#tag } : {} });
    const time = Date.parse(response.headers.get("Date")) || Date.now();
    if (response.status === 304) return () => this.#hand(null, time);
    const answer = await response.json().catch((error) => {
      if (error instanceof SyntaxError) return null;
      throw error;
    });
    if (!response.ok) throw new Error(answer?.error || `status ${response.status}`);
    if (!Array.isArray(answer?.nodes) || !Array.isArray(answer.links)) throw new Error("what answers is not Outpost");
    this.#tag = response.headers.get("ETag") || "";
    return () => this.#hand(answer, time);
  }

  /** #hand hands an answer on, unless there was a pause meanwhile. */
  #hand(graph, time) {
    if (!this.paused) this.on.got(graph, time);
    else if (graph) this.#tag = "";
  }
}
