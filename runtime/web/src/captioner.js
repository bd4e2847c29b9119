/** Captions photographs with one file. */

import { LiteRTBackend, startLiteRT } from "./backends/litert.js";
import { manifestIn, readFile } from "./bundle.js";
import { check } from "./checking.js";
import { decode, greedy } from "./decoding.js";
import { prepare } from "./preparation.js";

/** @typedef {import("./bundle.js").BundleSource} BundleSource */
/** @typedef {import("./bundle.js").Progress} Progress */
/** @typedef {import("./decoding.js").Hypothesis} Hypothesis */
/** @typedef {import("./decoding.js").Step} Step */
/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./options.js").DecodingChoices} DecodingChoices */
/** @typedef {import("./photos.js").Photo} Photo */

/** How long the parts of one caption took, in milliseconds. */
export class Timings {
  /** Reading, decoding and resizing the photograph. */
  prepare = 0;
  /** The encoder, from pixels to the first state. */
  encode = 0;
  /** All decoder steps with the search around them. */
  decode = 0;
  /** Number of calls of the decoder; in a beam each row is one. */
  steps = 0;

  /** Milliseconds per call of the decoder, the search included. */
  get perStep() {
    return this.steps === 0 ? 0 : this.decode / this.steps;
  }
}

/**
 * One caption that the search found.
 *
 * @typedef {object} Alternative
 * @property {string} text The caption as people write it.
 * @property {readonly string[]} words Its words as the vocabulary has them.
 * @property {readonly number[]} ids Its words' ids.
 * @property {number} logProbability Natural logarithm of its probability, the end token included.
 * @property {number} score `logProbability` / length ** lengthPenalty, by which captions rank.
 */

/**
 * The best caption of a photograph.
 *
 * @typedef {Alternative & {timings: Timings, alternatives: readonly Alternative[]}} Caption
 */

/**
 * @typedef {object} LoadOptions
 * @property {number} [threads] Threads of the interpreter; more than 1 needs a cross-origin
 *   isolated page. By default as many as the page may have, at most 4.
 * @property {string | URL} [wasm] Address of the folder with LiteRT.js' WebAssembly; by default it
 *   is looked for beside `@litertjs/core`.
 * @property {Progress} [progress] Called while a file is downloaded.
 */

/**
 * A captioner's file, open in its interpreter.
 *
 * Call `close()` when it is no longer needed: its memory is WebAssembly's, which no garbage
 * collector frees.
 */
export class Captioner {
  #manifest;
  #backend;
  #threads;

  /**
   * Open a .tflite file that edgecap exported.
   *
   * Throws `BundleError` for a file that is no captioner, `InterpreterError` where LiteRT.js
   * doesn't load, `OptionError` for an illegal number of threads.
   *
   * @param {BundleSource} source
   * @param {LoadOptions} [options]
   * @returns {Promise<Captioner>}
   */
  static async load(source, { threads, wasm, progress } = {}) {
    const { name, bytes } = await readFile(source, progress);
    const manifest = await manifestIn(name, bytes);
    const had = await startLiteRT({ threads, wasm });
    return new Captioner(manifest, await LiteRTBackend.open(name, bytes, manifest, had), had);
  }

  /**
   * Join a manifest and a backend; `Captioner.load` does this for a file.
   *
   * @param {Manifest} manifest
   * @param {Pick<LiteRTBackend, "encode" | "step" | "close">} backend
   * @param {number} [threads]
   */
  constructor(manifest, backend, threads = 1) {
    this.#manifest = manifest;
    this.#backend = backend;
    this.#threads = threads;
  }

  /** All that the file says of itself. */
  get manifest() {
    return this.#manifest;
  }

  /** Number of the interpreter's threads. */
  get threads() {
    return this.#threads;
  }

  /**
   * Caption a photograph.
   *
   * Options that aren't given are the file's own. Throws `ImageError` for a photograph that can't
   * be used, `OptionError` for an illegal option.
   *
   * @param {Photo} photo
   * @param {DecodingChoices} [choices]
   * @returns {Promise<Caption>}
   */
  async caption(photo, choices = {}) {
    const options = this.#manifest.decoding(choices);
    const timings = new Timings();
    const image = await this.#prepare(photo, timings);
    const state = await this.#encode(image, timings);
    const begun = performance.now();
    const found = await decode(this.#step(timings), state, this.#manifest.vocabulary, options);
    timings.decode = performance.now() - begun;
    return this.#caption(found, timings);
  }

  /**
   * Caption greedily and give each word as soon as it is known.
   *
   * The words equal `caption(photo, {beam: 1}).words`. The photograph is prepared and encoded when
   * the first word is asked for.
   *
   * @param {Photo} photo
   * @param {Omit<DecodingChoices, "beam" | "nBest" | "lengthPenalty">} [choices]
   * @returns {CaptionStream}
   */
  stream(photo, choices = {}) {
    const options = this.#manifest.decoding({ ...choices, beam: 1 });
    const timings = new Timings();
    return new CaptionStream(this.#words(photo, options, timings));
  }

  /**
   * Tell whether the file says here what it said on the machine that exported it.
   *
   * It captions the few small pictures that the file carries. A file of a format older than 1.4
   * carries none: its result has `checked` false and `passed` null. Throws `BundleError` for a
   * picture that is damaged.
   *
   * @returns {Promise<import("./checking.js").CheckResult>}
   */
  async check() {
    return check(this.#manifest, {
      encode: (image) => this.#backend.encode(image),
      step: (row) => this.#backend.step(row),
    });
  }

  /** Free the interpreter; captions can't be made afterwards. */
  close() {
    this.#backend.close();
  }

  /**
   * @param {Photo} photo
   * @param {import("./options.js").DecodingOptions} options
   * @param {Timings} timings
   * @returns {AsyncGenerator<string, Caption, void>}
   */
  async *#words(photo, options, timings) {
    const image = await this.#prepare(photo, timings);
    const state = await this.#encode(image, timings);
    const { vocabulary } = this.#manifest;
    const search = greedy(this.#step(timings), state, vocabulary, options);
    for (;;) {
      // Only the search is timed, not what the caller does between two words.
      const begun = performance.now();
      const { done, value } = await search.next();
      timings.decode += performance.now() - begun;
      if (done) return this.#caption([value], timings);
      yield vocabulary.words[value];
    }
  }

  /**
   * @param {Photo} photo
   * @param {Timings} timings
   */
  async #prepare(photo, timings) {
    const begun = performance.now();
    const image = await prepare(photo, this.#manifest.preparation);
    timings.prepare = performance.now() - begun;
    return image;
  }

  /**
   * @param {Uint8Array} image
   * @param {Timings} timings
   */
  async #encode(image, timings) {
    const begun = performance.now();
    const state = await this.#backend.encode(image);
    timings.encode = performance.now() - begun;
    return state;
  }

  /**
   * @param {Timings} timings
   * @returns {Step}
   */
  #step(timings) {
    return (row) => {
      timings.steps += 1;
      return this.#backend.step(row);
    };
  }

  /**
   * @param {Hypothesis[]} found
   * @param {Timings} timings
   * @returns {Caption}
   */
  #caption(found, timings) {
    const [best, ...alternatives] = found.map((hypothesis) => this.#alternative(hypothesis));
    return { ...best, timings, alternatives };
  }

  /**
   * @param {Hypothesis} hypothesis
   * @returns {Alternative}
   */
  #alternative({ ids, logProbability, score }) {
    const { vocabulary } = this.#manifest;
    const words = vocabulary.wordsOf(ids);
    return { text: vocabulary.join(words), words, ids, logProbability, score };
  }
}

/**
 * The words of a caption as they come: `for await (const word of stream)`; afterwards `caption`
 * holds the whole of it, with its timings.
 *
 * @implements {AsyncIterable<string>}
 */
export class CaptionStream {
  #search;

  /** @param {AsyncGenerator<string, Caption, void>} search */
  constructor(search) {
    this.#search = search;
    /**
     * The whole caption once all words have come; null before.
     *
     * @type {Caption | null}
     */
    this.caption = null;
  }

  async *[Symbol.asyncIterator]() {
    this.caption = yield* this.#search;
  }
}
