/**
 * What a file carries to check itself: a few small pictures, and what was said of them.
 *
 * It is the entry `check.json`; docs/format.md describes it, `checking.js` measures and judges.
 */

import { BundleError } from "./errors.js";

/** @typedef {import("./jsonfields.js").Fields} Fields */

export const CHECK_ENTRY = "check.json";

/** Height and width of a picture in the file. */
export const SIDE = 64;

const BYTES = SIDE * SIDE * 3;
const MOST_PICTURES = 8;
/** Longest base64 of a picture: pixels that can't be made smaller take 16,400. */
const MOST_TEXT = 20_000;
const MOST_TOKENS = 1001;

/**
 * What a file was run on.
 *
 * @typedef {object} Machine
 * @property {string} processor
 * @property {string} architecture
 * @property {string} features The instructions for int8 products that it has.
 * @property {string} interpreter The interpreter's package and version.
 * @property {number | null} threads
 */

/**
 * What the Keras model says of a picture, greedily: its words' ids, and the log-probability of each
 * and of the end token if the caption ended.
 *
 * @typedef {{ids: number[], logProbabilities: number[]}} KerasAnswer
 */

/**
 * What a file says of a picture: the log-probabilities of Keras' tokens after Keras' tokens, its own
 * greedy words with theirs, and by how much each is larger than that of the second-best token.
 *
 * @typedef {object} FileAnswer
 * @property {number[]} atPrefixes
 * @property {number[]} ids
 * @property {number[]} logProbabilities
 * @property {number[]} gaps
 */

/**
 * A picture with what was said of it; `rgb` is base64 of raw deflate of its pixels.
 *
 * @typedef {object} CheckPicture
 * @property {string} name
 * @property {string} rgb
 * @property {KerasAnswer} keras
 * @property {FileAnswer} exported
 */

/** The entry `check.json`; throws `BundleError` on illegal values. */
export class SelfCheck {
  /**
   * @param {Fields} item
   * @param {number} words Size of the vocabulary.
   */
  constructor(item, words) {
    const size = item.integer("size");
    if (size !== SIDE) {
      throw new BundleError(
        `${CHECK_ENTRY} has pictures of ${size} pixels a side, and this edgecap-web reads ${SIDE}; ` +
          "upgrade it with: npm install edgecap-web@latest",
      );
    }
    /** Largest difference of a log-probability (nats) between two right processors. */
    this.tolerance = item.number("tolerance");
    if (!(this.tolerance > 0 && this.tolerance < Infinity)) {
      throw new BundleError(
        `${CHECK_ENTRY} has the tolerance ${this.tolerance} where a number above 0 belongs; export ` +
          "the captioner again.",
      );
    }
    /** The machine that exported the file. */
    this.machine = machineOf(item.fields("machine"));
    const pictures = item.listOfFields("pictures");
    if (pictures.length < 1 || pictures.length > MOST_PICTURES) {
      throw new BundleError(
        `${CHECK_ENTRY} has ${pictures.length} pictures where 1 to ${MOST_PICTURES} belong; export ` +
          "the captioner again.",
      );
    }
    /** The pictures. */
    this.pictures = pictures.map((picture) => pictureOf(picture, words));
  }
}

/**
 * @param {Fields} item
 * @returns {Machine}
 */
function machineOf(item) {
  return {
    processor: item.text("processor"),
    architecture: item.text("architecture"),
    features: item.text("features"),
    interpreter: item.text("interpreter"),
    threads: item.optionalInteger("threads"),
  };
}

/**
 * @param {Fields} item
 * @param {number} words
 * @returns {CheckPicture}
 */
function pictureOf(item, words) {
  const [name, rgb] = [item.text("name"), item.text("rgb", MOST_TEXT)];
  const [said, file] = [item.fields("keras"), item.fields("exported")];
  const keras = {
    ids: said.integers("ids"),
    logProbabilities: said.numbers("log_probabilities"),
  };
  const exported = {
    atPrefixes: file.numbers("at_prefixes"),
    ids: file.integers("ids"),
    logProbabilities: file.numbers("log_probabilities"),
    gaps: file.numbers("gaps"),
  };
  const fits =
    lengthsFit(keras) &&
    lengthsFit(exported) &&
    exported.atPrefixes.length === keras.logProbabilities.length &&
    exported.gaps.length === exported.logProbabilities.length &&
    rgb.length <= MOST_TEXT;
  if (!fits) {
    throw new BundleError(
      `${CHECK_ENTRY} contradicts itself about the picture '${name}'; export the captioner again.`,
    );
  }
  for (const id of [...keras.ids, ...exported.ids]) {
    if (id < 0 || id >= words) {
      throw new BundleError(
        `${CHECK_ENTRY} has the id ${id}, outside the vocabulary's ${words} words; export the ` +
          "captioner again.",
      );
    }
  }
  return { name, rgb, keras, exported };
}

/** @param {KerasAnswer | FileAnswer} answer */
function lengthsFit({ ids, logProbabilities }) {
  const more = logProbabilities.length - ids.length;
  return (more === 0 || more === 1) && logProbabilities.length <= MOST_TOKENS;
}

/**
 * Unpack a picture to its RGB pixels, row by row; throws `BundleError` for one that is damaged.
 *
 * @param {CheckPicture} picture
 * @returns {Promise<Uint8Array>}
 */
export async function pixelsOf({ name, rgb }) {
  try {
    const packed = Uint8Array.from(atob(rgb), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream();
    const inflated = stream.pipeThrough(new DecompressionStream("deflate-raw")).getReader();
    const pixels = new Uint8Array(BYTES);
    let filled = 0;
    for (;;) {
      const { done, value } = await inflated.read();
      if (done) break;
      // More than belongs there is refused, not collected: `set` throws.
      pixels.set(value, filled);
      filled += value.length;
    }
    if (filled === BYTES) return pixels;
  } catch {
    // No base64, no deflate stream, or too long.
  }
  throw new BundleError(
    `The picture '${name}' in ${CHECK_ENTRY} is damaged; copy the file again, or export the ` +
      "captioner again.",
  );
}

/**
 * Bring a picture to the encoder's size: row i is row floor(i * SIDE / height), columns likewise.
 *
 * @param {Uint8Array} pixels
 * @param {number} height
 * @param {number} width
 * @returns {Uint8Array}
 */
export function enlarged(pixels, height, width) {
  const image = new Uint8Array(height * width * 3);
  for (let row = 0, to = 0; row < height; row++) {
    const from = Math.floor((row * SIDE) / height) * SIDE;
    for (let column = 0; column < width; column++, to += 3) {
      const at = (from + Math.floor((column * SIDE) / width)) * 3;
      image[to] = pixels[at];
      image[to + 1] = pixels[at + 1];
      image[to + 2] = pixels[at + 2];
    }
  }
  return image;
}
