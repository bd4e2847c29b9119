/** Word ids and how words are joined to text. */

import { BundleError } from "./errors.js";
import { VOCABULARY_WORDS, WORD_LENGTH } from "./limits.js";

/**
 * @typedef {object} VocabularyParts
 * @property {readonly string[]} words All words, special ones included; id = index.
 * @property {number} startId Id fed to the first decoder step; never chosen by a decoder.
 * @property {number} endId Id that ends a caption; not a part of the caption's words.
 * @property {number | null} paddingId Id that filled up short captions in training, or null.
 * @property {number | null} unknownId Id of words seen too rarely, or null.
 * @property {readonly number[]} neverSaid Ids that a decoder never chooses.
 * @property {readonly string[]} attachLeft Words written without a space before them.
 */

/**
 * The words that a decoder can say; a word's id is its index in `words`.
 *
 * Throws `BundleError` when the parts contradict each other (an id outside the words, a word
 * twice, a word holding white space).
 */
export class Vocabulary {
  #attached;

  /** @param {VocabularyParts} parts */
  constructor({ words, startId, endId, paddingId, unknownId, neverSaid, attachLeft }) {
    this.words = words;
    this.startId = startId;
    this.endId = endId;
    this.paddingId = paddingId;
    this.unknownId = unknownId;
    this.neverSaid = neverSaid;
    this.attachLeft = attachLeft;
    this.#attached = new Set(attachLeft);
    if (words.length < 2) {
      throw new BundleError(
        `The vocabulary has ${words.length} words; it needs at least a start and an end word: ` +
          "export the captioner again.",
      );
    }
    if (words.length > VOCABULARY_WORDS) {
      throw new BundleError(
        `The vocabulary has ${words.length} words, and ${VOCABULARY_WORDS} are the most that are ` +
          "read: make it smaller and export again.",
      );
    }
    for (const [id, word] of words.entries()) {
      if (word.length > WORD_LENGTH && [...word].length > WORD_LENGTH) {
        throw new BundleError(
          `Word ${id} of the vocabulary has ${[...word].length} characters, and ${WORD_LENGTH} are ` +
            "the most that are read: mend it and export again.",
        );
      }
    }
    this.#checkId("start_id", startId);
    this.#checkId("end_id", endId);
    if (paddingId !== null) this.#checkId("padding_id", paddingId);
    if (unknownId !== null) this.#checkId("unknown_id", unknownId);
    for (const id of neverSaid) this.#checkId("never_said", id);
    if (neverSaid.includes(endId)) {
      throw new BundleError(
        `The vocabulary lists its end id ${endId} as never said, so no caption could end; take it ` +
          "out of never_said and export again.",
      );
    }
    const seen = new Set();
    for (const [id, word] of words.entries()) {
      if (seen.has(word)) {
        throw new BundleError(
          `The vocabulary holds the word '${word}' twice; every word needs one id: make it unique ` +
            "and export again.",
        );
      }
      seen.add(word);
      if (word === "" || WHITE_SPACE.test(word)) {
        throw new BundleError(
          `Word ${id} of the vocabulary is '${word}'; a word is not empty and holds no white ` +
            "space: mend it and export again.",
        );
      }
    }
  }

  /** Number of words. */
  get size() {
    return this.words.length;
  }

  /**
   * Write words as text: spaces between them, none before the words of `attachLeft`.
   *
   * `["a", "dog", "'s", "ball"]` becomes `"a dog's ball"`.
   *
   * @param {Iterable<string>} words
   * @returns {string}
   */
  join(words) {
    let text = "";
    for (const word of words) text += this.glue(text, word) + word;
    return text;
  }

  /**
   * Give what stands between a text and the word after it: a space, or nothing.
   *
   * @param {string} text
   * @param {string} word
   * @returns {string}
   */
  glue(text, word) {
    return text === "" || this.#attached.has(word) ? "" : " ";
  }

  /**
   * Give each id's word.
   *
   * @param {readonly number[]} ids
   * @returns {string[]}
   */
  wordsOf(ids) {
    return ids.map((id) => this.words[id]);
  }

  /**
   * @param {string} role
   * @param {number} value
   */
  #checkId(role, value) {
    if (!Number.isInteger(value) || value < 0 || value >= this.words.length) {
      throw new BundleError(
        `The vocabulary's ${role} ${value} is outside its ${this.words.length} words; ids go from ` +
          `0 to ${this.words.length - 1}.`,
      );
    }
  }
}

// Python's str.isspace: JavaScript's \s, four separators and NEL besides, the byte order mark not.
const WHITE_SPACE = /[\x1c-\x1f\x85]|(?!\ufeff)\s/;
