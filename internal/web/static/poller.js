// Polling of the server.
import { request } from "./request.js";

const interval = 5000; // ms between an answer and the next poll
const timeout = 60_000; // ms for one poll

/** splitRemedy returns the cause in an error of the server, and the remedy that may follow it. */
function splitRemedy(text) {
  const [cause, ...remedy] = text.split(": ");
  return [cause, remedy.join(": ")];
}

export class Poller {
  #tag = "";
  #timer = 0;
  #inFlight = null;
  paused = false;

  /** on has onGraph(graph, time) and onError(reason, remedy). time is the server's in ms; graph is null if it did not change. */
  constructor(address, on) {
    Object.assign(this, { address, on });
    document.addEventListener("visibilitychange", () => !document.hidden && this.poll());
  }

  /** poll sends a request immediately and after each interval, except while paused or while the page is hidden. */
  async poll() {
    clearTimeout(this.#timer);
    if (this.#inFlight || this.paused) return;
    this.#inFlight = new AbortController();
    const timer = setTimeout(() => this.#inFlight.abort(), timeout);
    let deliver = null;
    try {
      deliver = await this.#fetch(this.#inFlight.signal);
    } catch (error) {
      this.on.onError(...(error.name === "AbortError" ? ["no answer within a minute"] : error instanceof TypeError ? ["connection lost"] : splitRemedy(error.message)));
    } finally {
      clearTimeout(timer);
      this.#inFlight = null;
      if (!document.hidden) this.#timer = setTimeout(() => this.poll(), interval);
    }
    deliver?.(); // outside of try: an error of the page is no error of the connection
  }

  /** #fetch returns a function that delivers the answer. */
  async #fetch(signal) {
    const response = await request(this.address, { signal, headers: this.#tag ? { "If-None-Match": this.#tag } : {} });
    const time = Date.parse(response.headers.get("Date")) || Date.now();
    if (response.status === 304) return () => this.#deliver(null, time);
    const answer = await response.json().catch((error) => {
      if (error instanceof SyntaxError) return null;
      throw error;
    });
    if (!response.ok) throw new Error(answer?.error || `status ${response.status}`);
    if (!Array.isArray(answer?.nodes) || !Array.isArray(answer.links)) throw new Error("the answer is not from Outpost");
    this.#tag = response.headers.get("ETag") || "";
    return () => this.#deliver(answer, time);
  }

  /** #deliver passes an answer on, unless the page was paused meanwhile. */
  #deliver(graph, time) {
    if (!this.paused) this.on.onGraph(graph, time);
    else if (graph) this.#tag = "";
  }
}
