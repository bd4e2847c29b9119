/**
 * Rules that forbid words during decoding.
 *
 * A rule is added by one class with `apply` and one line in `decoding.Scorer`. `apply` changes a
 * row's logits in place, given its words so far: a forbidden word's becomes minus infinity.
 */

/** Forbids the vocabulary's `neverSaid` ids and its start id (unless that ends captions). */
export class NeverSaid {
  /** @param {import("./vocabulary.js").Vocabulary} vocabulary */
  constructor({ neverSaid, startId, endId }) {
    this.ids = [...neverSaid, startId].filter((id) => id !== endId);
  }

  /** @param {Float32Array} logits */
  apply(logits) {
    for (const id of this.ids) logits[id] = -Infinity;
  }
}

/** Forbids the end token before `minWords` words. */
export class MinimumLength {
  /**
   * @param {number} endId
   * @param {number} minWords
   */
  constructor(endId, minWords) {
    this.endId = endId;
    this.minWords = minWords;
  }

  /**
   * @param {Float32Array} logits
   * @param {readonly number[]} said
   */
  apply(logits, said) {
    if (said.length < this.minWords) logits[this.endId] = -Infinity;
  }
}

/** Forbids every word that would make a sequence of `size` words occur a second time. */
export class NoRepeatNgram {
  /** @param {number} size */
  constructor(size) {
    this.before = size - 1;
  }

  /**
   * @param {Float32Array} logits
   * @param {readonly number[]} said
   */
  apply(logits, said) {
    const tail = said.length - this.before;
    for (let place = 0; place < tail; place++) {
      let same = true;
      for (let k = 0; k < this.before && same; k++) same = said[place + k] === said[tail + k];
      if (same) logits[said[place + this.before]] = -Infinity;
    }
  }
}
