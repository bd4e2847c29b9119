/**
 * Decoders that read all words so far for each next one: what their graph takes, how it is fed.
 *
 * The backward half of a bidirectional LSTM meets the newest word first, so nothing of it can be
 * carried from word to word. Its graph takes the whole prefix.
 */

import { BundleError, OptionError } from "./errors.js";
import { PREFIX_LENGTH } from "./limits.js";

/** How words become the ids of a prefix graph; throws `BundleError` on illegal values. */
export class Prefix {
  /**
   * @param {object} parts
   * @param {number | null} parts.length Number of ids that the graph takes; null for as many as
   *   there are words.
   * @param {number} parts.paddingId Id that fills a prefix up to `length`.
   * @param {string} parts.padded The side that is filled: "end" (behind the words) or "start".
   * @param {number | null} parts.skippedId Id that is left out of every prefix; null for none.
   */
  constructor({ length, paddingId, padded, skippedId }) {
    this.length = length;
    this.paddingId = paddingId;
    this.padded = padded;
    this.skippedId = skippedId;
    if (length !== null) checkWhole("length", length, 1);
    if (length !== null && length > PREFIX_LENGTH) {
      throw new BundleError(
        `The prefix has a length of ${length} ids, and ${PREFIX_LENGTH} are the most that are read.`,
      );
    }
    checkWhole("padding_id", paddingId, 0);
    if (skippedId !== null) checkWhole("skipped_id", skippedId, 0);
    if (padded !== "end" && padded !== "start") {
      throw new BundleError(`The prefix is padded at '${padded}'; choose among end, start.`);
    }
  }

  /**
   * Throw `BundleError` if the ids don't fit a vocabulary.
   *
   * @param {import("./vocabulary.js").Vocabulary} vocabulary
   */
  checkIds(vocabulary) {
    for (const [name, value] of /** @type {const} */ ([
      ["padding_id", this.paddingId],
      ["skipped_id", this.skippedId],
    ])) {
      if (value !== null && value >= vocabulary.size) {
        throw new BundleError(
          `The prefix has ${name} ${value}, outside the vocabulary's ${vocabulary.size} words; ids ` +
            `go from 0 to ${vocabulary.size - 1}.`,
        );
      }
    }
    if (this.skippedId === vocabulary.startId) {
      throw new BundleError(
        `The prefix skips the id ${this.skippedId}, which is the start id, so that the first ` +
          "prefix would be empty; give the start word an id of its own.",
      );
    }
  }

  /**
   * Throw `OptionError` if captions of so many words don't fit into the prefix.
   *
   * The last word follows a prefix of the start id and all words before it.
   *
   * @param {number} most
   */
  checkWords(most) {
    if (this.length !== null && most > this.length) {
      throw new OptionError(
        `maxWords is ${most}, but this captioner's decoder reads prefixes of ${this.length} ids; ` +
          `give at most ${this.length}.`,
      );
    }
  }

  /**
   * Turn words, the start id first, into the ids that the graph takes.
   *
   * @param {readonly number[]} words
   * @returns {Int32Array}
   */
  ids(words) {
    const kept = words.filter((id) => id !== this.skippedId);
    if (this.length === null) return Int32Array.from(kept);
    this.checkWords(words.length);
    const ids = new Int32Array(this.length).fill(this.paddingId);
    ids.set(kept, this.padded === "end" ? 0 : this.length - kept.length);
    return ids;
  }
}

/**
 * @param {string} name
 * @param {number} value
 * @param {number} least
 */
function checkWhole(name, value, least) {
  if (!Number.isInteger(value) || value < least) {
    throw new BundleError(
      `The prefix has ${name} ${value}; give a whole number of at least ${least}.`,
    );
  }
}
