/** The captioner in use: one of the shipped files, or one that the user opens. */

import { Captioner } from "./remote.js";

/**
 * A shipped file.
 *
 * @typedef {object} Shipped
 * @property {string} name
 * @property {string} recipe
 * @property {string} file
 * @property {number} bytes
 */

const CHOSEN = "edgecap captioner";

/** Loads captioners, one at a time, the last one asked for. */
export class Captioners {
  /** @type {Promise<Captioner> | null} */
  #current = null;
  #asked = 0;
  #progress;

  /** @param {(loaded: number, total: number) => void} progress */
  constructor(progress) {
    this.#progress = progress;
  }

  /** Whether one was asked for. */
  get started() {
    return this.#current !== null;
  }

  /**
   * Give the shipped files, as tools/build.js lists them.
   *
   * @returns {Promise<Shipped[]>}
   */
  static async shipped() {
    const response = await fetch("captioners.json");
    return response.ok ? response.json() : [];
  }

  /** Give the file that was chosen at the last visit, or null. */
  static get remembered() {
    return localStorage.getItem(CHOSEN);
  }

  /**
   * Load one of the shipped files.
   *
   * @param {Shipped} item
   */
  choose(item) {
    localStorage.setItem(CHOSEN, item.file.split("?")[0]);
    // Behind a compression the server can't say how much is to come.
    return this.load(item.file, (loaded) => this.#progress(loaded, item.bytes));
  }

  /**
   * Load a file in place of the one before.
   *
   * @param {string | File} source
   * @param {(loaded: number, total: number) => void} [progress]
   * @returns {Promise<Captioner>}
   */
  async load(source, progress) {
    const turn = ++this.#asked;
    const before = this.#current;
    const loading = (async () => {
      const previous = await before?.catch(() => null);
      const captioner = await Captioner.load(source, { progress });
      previous?.close();
      return captioner;
    })();
    // A file that can't be used leaves the one before in its place.
    this.#current = loading.catch(async (error) => {
      if (before === null) throw error;
      return before;
    });
    this.#current.catch(() => {});
    const captioner = await loading;
    if (turn === this.#asked) return captioner;
    return this.current();
  }

  /**
   * Give the captioner in use, once it is loaded.
   *
   * @returns {Promise<Captioner>}
   */
  async current() {
    if (this.#current === null) throw new Error("Choose a captioner first.");
    return this.#current;
  }
}
