/** A captioner in a worker, spoken to as if it were here. `worker.js` is the other side. */

/**
 * @typedef {object} Found A caption, as the worker posts it.
 * @property {string} text
 * @property {number} words Number of its words.
 * @property {{prepare: number, encode: number, decode: number}} timings In milliseconds.
 */

/**
 * @typedef {object} About What a captioner's file says of itself.
 * @property {string} name
 * @property {string} recipe
 * @property {string} encoder
 * @property {string} decoder
 * @property {number} words Size of the vocabulary.
 * @property {number} threads Threads that it runs on.
 */

/** What can't be used, in a sentence for the user. */
export class CaptionerError extends Error {}

/** @type {Worker | undefined} */
let worker;
let calls = 0;
/** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
const waiting = new Map();
/** @type {Map<number, (loaded: number, total: number) => void>} */
const watching = new Map();

function started() {
  const made = new Worker("worker.js");
  made.addEventListener("message", ({ data }) => {
    if ("progress" in data) {
      watching.get(data.progress)?.(data.loaded, data.total);
      return;
    }
    const { resolve, reject } = /** @type {any} */ (waiting.get(data.call));
    waiting.delete(data.call);
    if (!("error" in data)) resolve(data.answer);
    else reject(data.known ? new CaptionerError(data.error) : new Error(data.error));
  });
  made.addEventListener("error", (event) => {
    // It doesn't load, or has died: whoever waits for it would wait for ever.
    const reason = event.message ? ` (${event.message})` : "";
    const error = new CaptionerError(`The captioner's worker fails${reason}; load the page again.`);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    made.terminate();
    worker = undefined;
  });
  return made;
}

/**
 * @param {string} act
 * @param {object} asked
 * @param {Transferable[]} [given] What the worker gets for good.
 * @returns {Promise<any>}
 */
function ask(act, asked, given = []) {
  worker ??= started();
  const call = ++calls;
  const answer = new Promise((resolve, reject) => waiting.set(call, { resolve, reject }));
  worker.postMessage({ act, call, ...asked }, given);
  return answer;
}

/** A captioner's file, open in the worker. */
export class Captioner {
  #id;

  /**
   * @param {string | File} source
   * @param {{progress?: (loaded: number, total: number) => void}} [options]
   * @returns {Promise<Captioner>}
   */
  static async load(source, { progress } = {}) {
    const id = ++calls;
    if (progress !== undefined) watching.set(id, progress);
    // The worker's addresses are its own.
    const address = typeof source === "string" ? new URL(source, document.baseURI).href : source;
    try {
      const about = await ask("load", { id, source: address, report: progress !== undefined });
      return new Captioner(id, about);
    } finally {
      watching.delete(id);
    }
  }

  /**
   * @param {number} id
   * @param {About} about
   */
  constructor(id, about) {
    this.#id = id;
    this.about = about;
  }

  /**
   * Caption a photograph, or what a video shows.
   *
   * @param {Blob | HTMLVideoElement} photo
   * @param {{beam?: number}} choices
   * @returns {Promise<Found>}
   */
  async caption(photo, choices) {
    if (photo instanceof Blob) return ask("caption", { id: this.#id, photo, choices });
    const picture = await createImageBitmap(photo, { colorSpaceConversion: "none" });
    return ask("caption", { id: this.#id, photo: picture, choices }, [picture]);
  }

  /**
   * Caption greedily: give the text each time that it has grown by a word, at last the caption.
   *
   * @param {Blob} photo
   * @returns {AsyncGenerator<string, Found, void>}
   */
  async *stream(photo) {
    const stream = ++calls;
    await ask("start", { id: this.#id, stream, photo });
    try {
      for (;;) {
        const { text, caption } = await ask("next", { stream });
        if (caption !== undefined) return caption;
        yield text;
      }
    } finally {
      ask("stop", { stream }).catch(() => {});
    }
  }

  /**
   * Tell whether the file says here what it said where it was exported.
   *
   * @returns {Promise<{passed: boolean | null, sentence: string}>} `passed` is null for an older
   *   file, which carries nothing to check.
   */
  async check() {
    return ask("check", { id: this.#id });
  }

  /** Free the interpreter. */
  close() {
    ask("close", { id: this.#id }).catch(() => {});
  }
}
