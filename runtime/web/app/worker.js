/**
 * The worker that captions, so that the page answers meanwhile. `remote.js` is its other side.
 *
 * It is a classic worker: LiteRT.js loads by importScripts there, which a module worker refuses.
 * Import maps don't reach workers, so tools/build.js puts the library's address here.
 */

/** @typedef {import("edgecap-web").Captioner} Captioner */
/** @typedef {import("edgecap-web").CaptionStream} CaptionStream */

const library = import("edgecap-web");

/** @type {Map<number, Captioner>} */
const captioners = new Map();
/** @type {Map<number, {captioner: Captioner, stream: CaptionStream, words: AsyncIterator<string>, text: string}>} */
const streams = new Map();

/** What the page may ask for; each gives what can be posted. */
const ACTS = {
  /** @param {{id: number, source: string | File, report: boolean}} asked */
  async load({ id, source, report }) {
    const { Captioner } = await library;
    const progress = (/** @type {number} */ loaded, /** @type {number} */ total) =>
      postMessage({ progress: id, loaded, total });
    const captioner = await Captioner.load(source, report ? { progress } : {});
    captioners.set(id, captioner);
    const { name, recipe, encoder, decoder, vocabulary } = captioner.manifest;
    return { name, recipe, encoder, decoder, words: vocabulary.size, threads: captioner.threads };
  },

  /** @param {{id: number}} asked */
  async close({ id }) {
    captioners.get(id)?.close();
    captioners.delete(id);
  },

  /** @param {{id: number}} asked */
  async check({ id }) {
    const { passed, sentence } = await opened(id).check();
    return { passed, sentence };
  },

  /** @param {{id: number, photo: Blob | ImageBitmap, choices: {beam?: number}}} asked */
  async caption({ id, photo, choices }) {
    try {
      return posted(await opened(id).caption(photo, choices));
    } finally {
      // The page gave it away, so nobody else frees it.
      if (!(photo instanceof Blob)) photo.close();
    }
  },

  /** @param {{id: number, stream: number, photo: Blob}} asked */
  async start({ id, stream, photo }) {
    const captioner = opened(id);
    const made = captioner.stream(photo);
    streams.set(stream, { captioner, stream: made, words: made[Symbol.asyncIterator](), text: "" });
  },

  /** Give the text with one word more, or the whole caption. @param {{stream: number}} asked */
  async next({ stream }) {
    const found = streams.get(stream);
    if (found === undefined) throw new Error("This stream has ended.");
    const { done, value } = await found.words.next().catch((error) => {
      streams.delete(stream);
      throw error;
    });
    if (!done) {
      found.text += found.captioner.manifest.vocabulary.glue(found.text, value) + value;
      return { text: found.text };
    }
    streams.delete(stream);
    const { caption } = found.stream;
    return { caption: caption && posted(caption) };
  },

  /** @param {{stream: number}} asked */
  async stop({ stream }) {
    await streams.get(stream)?.words.return?.();
    streams.delete(stream);
  },
};

/** @param {number} id */
function opened(id) {
  const captioner = captioners.get(id);
  if (captioner === undefined) throw new Error("This captioner is closed.");
  return captioner;
}

/** @param {import("edgecap-web").Caption} caption */
function posted({ text, words, timings }) {
  const { prepare, encode, decode } = timings;
  return { text, words: words.length, timings: { prepare, encode, decode } };
}

addEventListener("message", async ({ data: { act, call, ...asked } }) => {
  try {
    const answer = await ACTS[/** @type {keyof typeof ACTS} */ (act)](asked);
    postMessage({ call, answer });
  } catch (error) {
    // The page shows its users what the library says; anything else is a fault of the app.
    const { EdgecapError } = await library.catch(() => ({ EdgecapError: null }));
    const known = EdgecapError !== null && error instanceof EdgecapError;
    postMessage({ call, error: known ? error.message : String(error), known });
  }
});
