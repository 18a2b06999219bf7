// The page's side of the worker that arranges scenes.

/** policy lets the page start the worker: the Content-Security-Policy forbids all other scripts from addresses. */
const policy = globalThis.trustedTypes?.createPolicy("outpost", { createScriptURL: (address) => address });

export class Arranger {
  #worker = this.#start(); // it loads while the page waits for data
  #turn = 0;
  #pending = null;

  /** arrange returns the arrangement of a request; null if a later request came before it was ready. */
  arrange(request) {
    this.#pending?.resolve(null);
    this.#worker ||= this.#start();
    const turn = ++this.#turn;
    return new Promise((resolve, reject) => {
      this.#pending = { turn, resolve, reject };
      this.#worker.postMessage({ turn, request });
    });
  }

  #start() {
    const address = new URL("./worker.js", import.meta.url).href;
    const worker = new Worker(policy ? policy.createScriptURL(address) : address, { type: "module" });
    worker.onmessage = ({ data: { turn, arrangement } }) => {
      if (turn === this.#pending?.turn) this.#pending.resolve(arrangement);
    };
    worker.onerror = (e) => {
      this.#worker = null;
      this.#pending?.reject(new Error(e.message || "the layout could not be loaded"));
    };
    return worker;
  }
}
