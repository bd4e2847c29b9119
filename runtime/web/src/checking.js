/**
 * Whether a file says on this machine what it said on the one that exported it.
 *
 * Python's `edgecap_runtime.checking` is the original; golden files written by it are what this
 * module is tested on.
 */

import { enlarged, pixelsOf } from "./check_entry.js";
import { Scorer, logNormalizer } from "./decoding.js";
import { BundleError } from "./errors.js";

/** @typedef {import("./check_entry.js").CheckPicture} CheckPicture */
/** @typedef {import("./check_entry.js").FileAnswer} FileAnswer */
/** @typedef {import("./check_entry.js").KerasAnswer} KerasAnswer */
/** @typedef {import("./check_entry.js").Machine} Machine */
/** @typedef {import("./decoding.js").Step} Step */
/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./vocabulary.js").Vocabulary} Vocabulary */

/**
 * What runs a file: `Captioner` has one.
 *
 * @typedef {object} Runner
 * @property {(image: Uint8Array) => Promise<import("./kinds.js").Row["state"]>} encode
 * @property {Step} step
 */

/**
 * One picture's part of a check.
 *
 * @typedef {object} PictureResult
 * @property {string} name What the picture is called.
 * @property {string} here The file's greedy caption here; empty where it fails.
 * @property {string} exported Its greedy caption on the machine that exported it.
 * @property {string} keras Keras' greedy caption, for people; it is judged by nothing.
 * @property {boolean} same Whether `here` and `exported` are the same words.
 * @property {number} largest Largest difference of a log-probability (nats); NaN where it fails.
 * @property {readonly string[]} faults What is not as it was at export; empty if all is.
 */

/**
 * Whether a file says here what it said on the machine that exported it.
 *
 * @typedef {object} CheckResult
 * @property {boolean} checked Whether there was anything to check.
 * @property {boolean | null} passed Whether all is as it was at export; null where nothing is checked.
 * @property {string} sentence The result in one sentence.
 * @property {number} largest Largest difference of a log-probability (nats); NaN where a picture
 *   failed, or none.
 * @property {number} tolerance What is allowed; 0 where nothing is checked.
 * @property {Machine | null} exportedOn The machine that exported the file.
 * @property {readonly PictureResult[]} pictures
 */

const WIDEST_GAP = 1000;

/**
 * Caption the pictures that a file carries and compare with what the exporting machine said.
 *
 * Throws `BundleError` for a picture that is damaged.
 *
 * @param {Manifest} manifest
 * @param {Runner} runner
 * @returns {Promise<CheckResult>}
 */
export async function check(manifest, runner) {
  const { check: entry, vocabulary } = manifest;
  const pictures = [];
  for (const picture of entry === null ? [] : entry.pictures) {
    const pixels = await pixelsOf(picture);
    let answer;
    try {
      answer = await measure(runner, manifest, pixels, picture.keras);
    } catch (error) {
      if (!(error instanceof BundleError)) throw error;
      pictures.push(failed(picture, vocabulary, error.message.replace(/[. ]+$/, "")));
      continue;
    }
    pictures.push(judged(picture, answer, entry?.tolerance ?? 0, vocabulary));
  }
  const checked = pictures.length > 0;
  const largest = checked ? Math.max(...pictures.map((item) => item.largest)) : NaN;
  const passed = checked ? pictures.every((item) => item.faults.length === 0) : null;
  const tolerance = entry?.tolerance ?? 0;
  return {
    checked,
    passed,
    sentence: sentence(pictures, passed, largest, tolerance),
    largest,
    tolerance,
    exportedOn: entry?.machine ?? null,
    pictures,
  };
}

/**
 * Run a file over one picture, searched greedily by the file's defaults.
 *
 * Throws `BundleError` where the interpreter fails or a number is not finite.
 *
 * @param {Runner} runner
 * @param {Manifest} manifest
 * @param {Uint8Array} pixels
 * @param {KerasAnswer} keras
 * @returns {Promise<FileAnswer>}
 */
export async function measure(runner, manifest, pixels, keras) {
  const { vocabulary, preparation } = manifest;
  const first = await runner.encode(enlarged(pixels, preparation.height, preparation.width));
  const atPrefixes = [];
  /** @type {import("./kinds.js").Row} */
  let row = { words: [vocabulary.startId], state: first };
  for (const token of tokensOf(keras, vocabulary)) {
    const { logits, state } = await runner.step(row);
    atPrefixes.push(Math.min(logits[token] - logNormalizer(logits), 0));
    row = { words: [...row.words, token], state };
  }
  const { tokens, scores, gaps } = await searched(runner.step, first, manifest);
  if (![...atPrefixes, ...scores].every(Number.isFinite)) {
    throw new BundleError("a word's log-probability is not finite; export the captioner again.");
  }
  const ids = tokens.filter((token) => token !== vocabulary.endId);
  return { atPrefixes, ids, logProbabilities: scores, gaps };
}

/**
 * @param {Step} step
 * @param {import("./kinds.js").Row["state"]} state
 * @param {Manifest} manifest
 */
async function searched(step, state, manifest) {
  const { vocabulary } = manifest;
  const options = manifest.decoding({ beam: 1 });
  const scorer = new Scorer(step, vocabulary, options);
  const tokens = [];
  const scores = [];
  const gaps = [];
  /** @type {import("./kinds.js").Row} */
  let row = { words: [vocabulary.startId], state };
  while (tokens.length < options.maxWords) {
    const found = await scorer.candidates(row, 2);
    const [token] = found.tokens;
    const [best, second] = found.logProbabilities;
    if (best === -Infinity) break; // no token is allowed
    tokens.push(token);
    scores.push(best);
    gaps.push(Math.min(best - second, WIDEST_GAP));
    if (token === vocabulary.endId) break;
    row = { words: [...row.words, token], state: found.state };
  }
  return { tokens, scores, gaps };
}

/**
 * Compare one picture's numbers and words.
 *
 * Words may differ only from where two were about equally likely at export; behind that the
 * prefixes are not equal, and nothing more is compared.
 *
 * @param {CheckPicture} picture
 * @param {FileAnswer} answer
 * @param {number} tolerance
 * @param {Vocabulary} vocabulary
 * @returns {PictureResult}
 */
function judged(picture, answer, tolerance, vocabulary) {
  const { exported } = picture;
  const [theirs, ours] = [tokensOf(exported, vocabulary), tokensOf(answer, vocabulary)];
  const common = Math.max(theirs.length, ours.length);
  let parted = 0;
  while (parted < common && theirs[parted] === ours[parted]) parted++;
  const same = parted === common;
  const differences = [
    ...apart(answer.atPrefixes, exported.atPrefixes),
    ...apart(answer.logProbabilities.slice(0, parted), exported.logProbabilities),
  ];
  const largest = Math.max(0, ...differences);
  const faults = [];
  // Written so that a difference that is not a number is a fault.
  if (!(largest <= tolerance)) {
    faults.push(`a log-probability differs by ${short(largest)} (${short(tolerance)} allowed)`);
  }
  if (!same && !(exported.gaps[parted] < tolerance)) {
    faults.push(
      `word ${parted + 1} is ${wordAt(ours, parted, vocabulary)}, was ` +
        `${wordAt(theirs, parted, vocabulary)} and not about as likely`,
    );
  }
  return {
    name: picture.name,
    here: textOf(answer.ids, vocabulary),
    exported: textOf(exported.ids, vocabulary),
    keras: textOf(picture.keras.ids, vocabulary),
    same,
    largest,
    faults,
  };
}

/**
 * @param {CheckPicture} picture
 * @param {Vocabulary} vocabulary
 * @param {string} reason
 * @returns {PictureResult}
 */
function failed({ name, exported, keras }, vocabulary, reason) {
  return {
    name,
    here: "",
    exported: textOf(exported.ids, vocabulary),
    keras: textOf(keras.ids, vocabulary),
    same: false,
    largest: NaN,
    faults: [reason],
  };
}

/**
 * @param {readonly PictureResult[]} pictures
 * @param {boolean | null} passed
 * @param {number} largest
 * @param {number} tolerance
 */
function sentence(pictures, passed, largest, tolerance) {
  if (passed === null) {
    return "the file carries nothing to check itself by; export it again with this edgecap";
  }
  const same = pictures.filter((item) => item.same).length;
  const captions = `${same} of ${pictures.length} captions`;
  const allowed = `(${short(tolerance)} allowed)`;
  if (passed) {
    return (
      `this machine says what the exporting one said: ${captions}, log-probabilities within ` +
      `${short(largest)} ${allowed}`
    );
  }
  const distance = Number.isFinite(largest) ? `${short(largest)} apart` : "not finite";
  return (
    `this machine does not say what the exporting one said: ${captions}, log-probabilities ` +
    `${distance} ${allowed}`
  );
}

/**
 * @param {readonly number[]} found
 * @param {readonly number[]} expected
 */
function apart(found, expected) {
  return found.map((value, index) => Math.abs(value - expected[index]));
}

/**
 * @param {KerasAnswer | FileAnswer} answer
 * @param {Vocabulary} vocabulary
 */
function tokensOf({ ids, logProbabilities }, vocabulary) {
  return logProbabilities.length > ids.length ? [...ids, vocabulary.endId] : ids;
}

/**
 * @param {readonly number[]} tokens
 * @param {number} index
 * @param {Vocabulary} vocabulary
 */
function wordAt(tokens, index, vocabulary) {
  const ended = index >= tokens.length || tokens[index] === vocabulary.endId;
  return ended ? "the end" : `'${vocabulary.words[tokens[index]]}'`;
}

/**
 * @param {readonly number[]} ids
 * @param {Vocabulary} vocabulary
 */
function textOf(ids, vocabulary) {
  return vocabulary.join(vocabulary.wordsOf(ids));
}

/**
 * Write two significant digits, as Python's format `.2g` does.
 *
 * @param {number} value
 */
export function short(value) {
  if (!Number.isFinite(value)) return String(value).toLowerCase();
  const [digits, power] = value.toExponential(1).split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 2) return String(Number(value.toPrecision(2)));
  const sign = exponent < 0 ? "-" : "+";
  return `${Number(digits)}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
}
