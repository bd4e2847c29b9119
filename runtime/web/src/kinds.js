/**
 * The kinds of decoder graphs: all that depends on a kind stands in one table.
 *
 * `step`: a word and a state in, logits and the next state out. `prefix`: all words so far and the
 * first state in, logits out.
 */

import { BundleError } from "./errors.js";
import { Prefix } from "./prefix.js";

/**
 * A row's words so far and what the decoder carries.
 *
 * @typedef {object} Row
 * @property {readonly number[]} words The start id and the words said.
 * @property {Readonly<Record<string, Float32Array>>} state The state tensors by name.
 */

/**
 * What depends on a kind. Its functions take the file's `Prefix`, null where it has none.
 *
 * @typedef {object} Kind
 * @property {(prefix: Prefix | null, vocabulary: import("./vocabulary.js").Vocabulary) => void}
 *   check Throw `BundleError` if the prefix is not what such a decoder has.
 * @property {(prefix: Prefix | null, most: number) => void} checkWords Throw `OptionError` if
 *   captions of so many words can't be made.
 * @property {(prefix: Prefix | null, words: readonly number[]) => Int32Array} ids Give the ids
 *   that the graph takes for a row.
 * @property {(prefix: Prefix | null) => (number | null)[]} idsShape Shape of the ids that the
 *   graph takes; null for any size.
 * @property {boolean} carries Whether the graph gives a next state; else it reads the first one at
 *   each word.
 */

/** @param {Prefix | null} prefix */
function given(prefix) {
  if (prefix === null) {
    throw new BundleError(
      "The decoder is of kind 'prefix' but nothing says what its prefixes are; export the " +
        "captioner again.",
    );
  }
  return prefix;
}

/**
 * The kinds that this runtime runs; a kind's name is also that of the .tflite signature.
 *
 * @type {ReadonlyMap<string, Kind>}
 */
export const KINDS = new Map([
  [
    "step",
    {
      check(prefix) {
        if (prefix !== null) {
          throw new BundleError(
            "The decoder is of kind 'step', which reads no prefix, but is said to have one; " +
              "export the captioner again.",
          );
        }
      },
      checkWords() {},
      ids: (_, words) => Int32Array.of(words[words.length - 1]),
      idsShape: () => [null],
      carries: true,
    },
  ],
  [
    "prefix",
    {
      check: (prefix, vocabulary) => given(prefix).checkIds(vocabulary),
      checkWords: (prefix, most) => given(prefix).checkWords(most),
      ids: (prefix, words) => given(prefix).ids(words),
      idsShape: (prefix) => [null, given(prefix).length],
      carries: false,
    },
  ],
]);
