/**
 * Greedy and beam search over a decoder.
 *
 * Log probabilities are the model's own: log-softmax over the WHOLE vocabulary first, then the
 * filters forbid words, so a forbidden word's probability is not given to the others. A hypothesis
 * of n tokens (its words, and the end token unless it was cut at `maxWords`) with log probability L
 * has the score L / n ** lengthPenalty (length normalisation as in Wu et al. 2016, section 7, with
 * the plain power as denominator).
 *
 * Python's `edgecap_runtime.decoding` is the original; golden files written by it are what this
 * module is tested on.
 */

import { BundleError } from "./errors.js";
import { MinimumLength, NeverSaid, NoRepeatNgram } from "./filters.js";

/** @typedef {import("./kinds.js").Row} Row */
/** @typedef {import("./options.js").DecodingOptions} DecodingOptions */
/** @typedef {import("./vocabulary.js").Vocabulary} Vocabulary */

/**
 * Runs the decoder for one row: its words and state to logits [V], which the caller may change,
 * and the next state.
 *
 * @callback Step
 * @param {Row} row
 * @returns {Promise<{logits: Float32Array, state: Row["state"]}>}
 */

/**
 * A caption as word ids, with what the model thinks of it.
 *
 * @typedef {object} Hypothesis
 * @property {number[]} ids The words' ids, without start and end.
 * @property {number} logProbability Sum of the natural log probabilities of its tokens.
 * @property {number} score `logProbability` / length ** lengthPenalty.
 * @property {boolean} ended Whether the end token was chosen; false where the caption was cut.
 */

/** Turns a step's logits into the next tokens worth looking at. */
export class Scorer {
  /**
   * @param {Step} step
   * @param {Vocabulary} vocabulary
   * @param {DecodingOptions} options
   */
  constructor(step, vocabulary, options) {
    this.step = step;
    this.words = vocabulary.size;
    /** @type {{apply(logits: Float32Array, said: readonly number[]): void}[]} */
    this.filters = [new NeverSaid(vocabulary)];
    if (options.minWords) this.filters.push(new MinimumLength(vocabulary.endId, options.minWords));
    if (options.noRepeatNgram) this.filters.push(new NoRepeatNgram(options.noRepeatNgram));
  }

  /**
   * Run one step of a row; give its `count` likeliest allowed tokens, the likeliest first, lower
   * id first among equals, with their log probabilities (minus infinity where fewer are allowed),
   * and the next state. Throws `BundleError` if the answer doesn't fit or is not finite.
   *
   * @param {Row} row
   * @param {number} count
   */
  async candidates(row, count) {
    const { logits, state } = await this.step(row);
    if (logits.length !== this.words) {
      throw new BundleError(
        `The decoder answers ${logits.length} numbers where ${this.words} belong (the words of ` +
          "the vocabulary); export the captioner again.",
      );
    }
    const normalizer = logNormalizer(logits);
    const said = row.words.slice(1);
    for (const rule of this.filters) rule.apply(logits, said);
    const tokens = likeliest(logits, count);
    // Rounding may lift a probability of nearly 1 above it, and the beam's bound needs <= 0.
    const logProbabilities = tokens.map((token) => Math.min(logits[token] - normalizer, 0));
    return { tokens, logProbabilities, state };
  }
}

/**
 * Give log(sum(exp(logits))); throws `BundleError` where the largest logit is not finite.
 *
 * @param {Float32Array} logits
 * @returns {number}
 */
export function logNormalizer(logits) {
  let largest = -Infinity;
  let sum = 0;
  for (const logit of logits) {
    // Written so that a NaN, which compares to nothing, is taken and refused below.
    if (!(logit <= largest)) largest = logit;
    if (Number.isNaN(largest)) break;
  }
  if (!Number.isFinite(largest)) {
    throw new BundleError(
      "The decoder answers with numbers that are not finite; export the captioner again and look " +
        "at its parity report.",
    );
  }
  for (const logit of logits) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}

/**
 * Give the `count` largest places, falling, lower place first among equals.
 *
 * @param {Float32Array} logits
 * @param {number} count
 * @returns {number[]}
 */
export function likeliest(logits, count) {
  /** @type {number[]} */
  const places = [];
  let least = -Infinity;
  for (let place = 0; place < logits.length; place++) {
    const value = logits[place];
    if (places.length === count && !(value > least)) continue;
    let at = places.length;
    while (at > 0 && logits[places[at - 1]] < value) at--;
    places.splice(at, 0, place);
    if (places.length > count) places.pop();
    least = logits[places[places.length - 1]];
  }
  return places;
}

/**
 * Search captions from a first state; the best comes first.
 *
 * Gives `options.nBest` hypotheses, or fewer where the search finds fewer. A beam of 1 is greedy
 * search. Throws `BundleError` where the step's answer doesn't fit the vocabulary.
 *
 * @param {Step} step
 * @param {Row["state"]} state
 * @param {Vocabulary} vocabulary
 * @param {DecodingOptions} options
 * @returns {Promise<Hypothesis[]>}
 */
export async function decode(step, state, vocabulary, options) {
  if (options.beam > 1) return beamSearch(step, state, vocabulary, options);
  const search = greedy(step, state, vocabulary, options);
  for (;;) {
    const { done, value } = await search.next();
    if (done) return [value];
  }
}

/**
 * Search greedily: yield each word's id as soon as its step is done, return the hypothesis.
 *
 * @param {Step} step
 * @param {Row["state"]} state
 * @param {Vocabulary} vocabulary
 * @param {DecodingOptions} options
 * @returns {AsyncGenerator<number, Hypothesis, void>}
 */
export async function* greedy(step, state, vocabulary, options) {
  const scorer = new Scorer(step, vocabulary, options);
  /** @type {Row} */
  let row = { words: [vocabulary.startId], state };
  let total = 0;
  let ended = false;
  while (row.words.length <= options.maxWords) {
    const found = await scorer.candidates(row, 1);
    const [token] = found.tokens;
    const [logProbability] = found.logProbabilities;
    if (logProbability === -Infinity) break;
    total += logProbability;
    ended = token === vocabulary.endId;
    if (ended) break;
    yield token;
    row = { words: [...row.words, token], state: found.state };
  }
  return hypothesis(row.words.slice(1), total, ended, options);
}

/**
 * @param {number[]} ids
 * @param {number} logProbability
 * @param {boolean} ended
 * @param {DecodingOptions} options
 * @returns {Hypothesis}
 */
function hypothesis(ids, logProbability, ended, { lengthPenalty }) {
  const length = Math.max(1, ids.length + (ended ? 1 : 0));
  return { ids, logProbability, score: logProbability / length ** lengthPenalty, ended };
}

/**
 * Search with a beam: at each step the `beam` likeliest continuations of all live rows stay.
 *
 * Those that chose the end token leave the beam and compete by score. The search ends when no live
 * hypothesis can reach a better score than the kept ones: probabilities only fall, and no caption
 * is longer than `maxWords` tokens, so L / maxWords ** lengthPenalty bounds it.
 *
 * @param {Step} step
 * @param {Row["state"]} state
 * @param {Vocabulary} vocabulary
 * @param {DecodingOptions} options
 * @returns {Promise<Hypothesis[]>}
 */
async function beamSearch(step, state, vocabulary, options) {
  const { beam, maxWords, nBest } = options;
  const scorer = new Scorer(step, vocabulary, options);
  const longest = maxWords ** options.lengthPenalty;
  /** @type {Hypothesis[]} */
  let finished = [];
  let live = [{ row: /** @type {Row} */ ({ words: [vocabulary.startId], state }), total: 0 }];
  for (let place = 0; place < maxWords; place++) {
    const candidates = [];
    for (const { row, total } of live) {
      const found = await scorer.candidates(row, beam);
      for (const [column, token] of found.tokens.entries()) {
        const sum = total + found.logProbabilities[column];
        candidates.push({ row, token, total: sum, state: found.state });
      }
    }
    // Stable: among equals the earlier parent, then the lower id (rows are sorted so).
    candidates.sort((one, other) => falling(one.total, other.total));
    const following = [];
    for (const { row, token, total, state } of candidates.slice(0, beam)) {
      if (total === -Infinity) break;
      if (token === vocabulary.endId) {
        finished.push(hypothesis(row.words.slice(1), total, true, options));
      } else {
        following.push({ row: { words: [...row.words, token], state }, total });
      }
    }
    finished = best(finished, nBest);
    if (following.length === 0) break;
    live = following;
    const bound = live[0].total / longest;
    if (finished.length === nBest && bound <= finished[nBest - 1].score) break;
  }
  const cut = live
    // Where the filters forbid every word there is no end either: better cut than nothing.
    .filter(({ row }) => row.words.length === maxWords + 1 || finished.length === 0)
    .map(({ row, total }) => hypothesis(row.words.slice(1), total, false, options));
  return best([...finished, ...cut], nBest);
}

/**
 * @param {Hypothesis[]} hypotheses
 * @param {number} count
 */
function best(hypotheses, count) {
  return hypotheses.sort((one, other) => falling(one.score, other.score)).slice(0, count);
}

/**
 * Order numbers from large to small; minus infinities are equals.
 *
 * @param {number} one
 * @param {number} other
 */
function falling(one, other) {
  return one === other ? 0 : other - one;
}
