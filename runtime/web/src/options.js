/** What a user may choose about decoding. */

import { OptionError } from "./errors.js";

/**
 * @typedef {object} DecodingChoices
 * @property {number} [beam] Width of the beam, 1 to 64; 1 is greedy.
 * @property {number} [lengthPenalty] Exponent a of the score, log probability / length ** a (0 to
 *   10); 0 favours short captions. The length counts the words and the end token.
 * @property {number} [minWords] Fewest words of a caption; the end token isn't chosen before.
 * @property {number} [maxWords] Most words of a caption, 1 to 1000; there it is cut.
 * @property {number} [noRepeatNgram] Length of word sequences that never occur twice in a
 *   caption; 0 allows all.
 * @property {number} [nBest] Number of captions wanted, at most `beam`.
 */

/** @typedef {Required<DecodingChoices>} DecodingValues */

/** Each option and its name in the file and in messages. */
const NAMES = /** @type {const} */ ({
  beam: "beam",
  lengthPenalty: "length_penalty",
  minWords: "min_words",
  maxWords: "max_words",
  noRepeatNgram: "no_repeat_ngram",
  nBest: "n_best",
});

/** Choices of greedy and beam search; throws `OptionError` on illegal values. */
export class DecodingOptions {
  /** @param {DecodingValues} values */
  constructor({ beam, lengthPenalty, minWords, maxWords, noRepeatNgram, nBest }) {
    this.beam = beam;
    this.lengthPenalty = lengthPenalty;
    this.minWords = minWords;
    this.maxWords = maxWords;
    this.noRepeatNgram = noRepeatNgram;
    this.nBest = nBest;
    check("beam", beam, 1, 64);
    check("maxWords", maxWords, 1, 1000);
    check("minWords", minWords, 0, maxWords, "maxWords");
    check("noRepeatNgram", noRepeatNgram, 0, 1000);
    check("nBest", nBest, 1, beam, "the width of the beam");
    if (typeof lengthPenalty !== "number" || !(lengthPenalty >= 0 && lengthPenalty <= 10)) {
      throw new OptionError(`lengthPenalty is ${shown(lengthPenalty)}; give a number from 0 to 10.`);
    }
    Object.freeze(this);
  }

  /**
   * Give these options with those choices that aren't undefined put in their place.
   *
   * `nBest` and `minWords`, where not chosen, give way to a chosen `beam` and `maxWords`. Throws
   * `OptionError` for an illegal value.
   *
   * @param {DecodingChoices} choices
   * @returns {DecodingOptions}
   */
  changed(choices) {
    /** @type {Record<string, unknown>} */
    const chosen = {};
    for (const [name, value] of Object.entries(choices)) {
      if (!Object.hasOwn(NAMES, name)) {
        throw new OptionError(
          `There is no option '${name}'; choose among ${Object.keys(NAMES).join(", ")}.`,
        );
      }
      if (value !== undefined && value !== null) chosen[name] = value;
    }
    for (const [name, limit] of /** @type {const} */ ([
      ["nBest", "beam"],
      ["minWords", "maxWords"],
    ])) {
      const most = chosen[limit];
      if (!(name in chosen) && Number.isInteger(most)) {
        chosen[name] = Math.min(this[name], Number(most));
      }
    }
    return new DecodingOptions({ ...this, ...chosen });
  }
}

/**
 * @param {keyof typeof NAMES} name
 * @param {unknown} value
 * @param {number} least
 * @param {number} most
 * @param {string} [meaning]
 */
function check(name, value, least, most, meaning) {
  if (!Number.isInteger(value) || Number(value) < least || Number(value) > most) {
    const limit = meaning === undefined ? `${most}` : `${most} (${meaning})`;
    throw new OptionError(
      `${name} is ${shown(value)}; give a whole number from ${least} to ${limit}.`,
    );
  }
}

/** @param {unknown} value */
function shown(value) {
  return typeof value === "string" ? `'${value}'` : String(value);
}
