/** All that a captioner's file says of itself, and how it is read from entries. */

import { CHECK_ENTRY, SelfCheck } from "./check_entry.js";
import { BundleError, OptionError } from "./errors.js";
import { loadsObject, utf8 } from "./jsonfields.js";
import { KINDS } from "./kinds.js";
import { STATE_SIDES, STATE_TENSORS, STATE_VALUES, VOCABULARY_WORDS } from "./limits.js";
import { DecodingOptions } from "./options.js";
import { Prefix } from "./prefix.js";
import { Preparation } from "./preparation.js";
import { Vocabulary } from "./vocabulary.js";

/** @typedef {import("./jsonfields.js").Fields} Fields */

/** The version read; files of another major version are refused. */
export const FORMAT_VERSION = "1.4";

const MANIFEST_ENTRY = "edgecap.json";
const VOCABULARY_ENTRY = "vocabulary.txt";
const PARITY_ENTRY = "parity.json";
const FIRST_WITH_CHECKSUM = 4;
const LINE_END = 10;
const UPGRADE = "upgrade it with: npm install edgecap-web@latest";

/**
 * One tensor of the decoder's state; in the graph `state_<name>` and `next_state_<name>`.
 *
 * @typedef {object} StateTensor
 * @property {string} name Name without its prefix, for example "h0".
 * @property {readonly number[]} shape Shape of one row (the tensor is [rows, ...shape]).
 * @property {string} dtype Element type; float32 is the only one.
 */

/** All that a captioner's file says of itself; throws `BundleError` on illegal values. */
export class Manifest {
  /**
   * Read the entries of a file; keys that this version doesn't know are ignored.
   *
   * Throws `BundleError` for what is missing, of another major version or contradictory.
   *
   * @param {ReadonlyMap<string, Uint8Array>} entries
   */
  constructor(entries) {
    const text = entry(entries, VOCABULARY_ENTRY);
    const head = loadsObject(MANIFEST_ENTRY, entry(entries, MANIFEST_ENTRY));
    /** Version of the format, "major.minor". */
    this.formatVersion = head.text("format_version");
    checkVersion(this.formatVersion);
    /** The captioner's name, for people. */
    this.name = head.text("name");
    /** What the decoder's graph is: "step" or "prefix". */
    this.kind = head.text("kind");
    /** What the graph of kind "prefix" takes; null for a step. */
    this.prefix = head.has("prefix") ? prefixOf(head.fields("prefix")) : null;
    /** The encoder's name, for example "mobilenet". */
    this.encoder = head.text("encoder");
    /** The decoder's name, for example "lstm". */
    this.decoder = head.text("decoder");
    /** Name of the quantization recipe, for example "float32". */
    this.recipe = head.text("recipe");
    /** Date of the export, ISO 8601. */
    this.created = head.text("created");
    /** How photographs are prepared. */
    this.preparation = legal(() => preparationOf(head.fields("preparation")));
    /** The words and their roles. */
    this.vocabulary = vocabularyOf(head.fields("vocabulary"), text);
    /** The tensors that the decoder carries from word to word. */
    this.state = head.listOfFields("state").map(stateTensorOf);
    /** Decoding options where the caller gives none. */
    this.defaults = legal(() => defaultsOf(head.fields("defaults")));
    /** What it was made from: hash of the weights, tool versions, training data, licence ... */
    this.source = head.raw("source");
    const parity = entries.get(PARITY_ENTRY);
    /** The export's comparison with Keras; null where none was made. */
    this.parity = parity === undefined ? null : loadsObject(PARITY_ENTRY, parity).all();
    const check = entries.get(CHECK_ENTRY);
    /** What the file checks itself by on another machine; null where it carries nothing. */
    this.check =
      check === undefined
        ? null
        : new SelfCheck(loadsObject(CHECK_ENTRY, check), this.vocabulary.size);
    const kind = KINDS.get(this.kind);
    if (kind === undefined) {
      throw new BundleError(
        `The file's decoder is of kind '${this.kind}', and this edgecap-web runs ` +
          `${[...KINDS.keys()].join(", ")}; ${UPGRADE}`,
      );
    }
    /** What depends on the kind. */
    this.kindRules = kind;
    if (this.state.length === 0) {
      throw new BundleError("The file names no state tensor; a decoder has at least 1.");
    }
    if (this.state.length > STATE_TENSORS) {
      throw new BundleError(
        `The file names ${this.state.length} state tensors, and ${STATE_TENSORS} are the most that ` +
          "are read; export the captioner again.",
      );
    }
    kind.check(this.prefix, this.vocabulary);
    legal(() => this.decoding({}));
  }

  /**
   * Give the file's decoding options with those choices that aren't undefined in their place.
   *
   * Throws `OptionError` for an illegal value, or more words than the decoder can read.
   *
   * @param {import("./options.js").DecodingChoices} choices
   * @returns {DecodingOptions}
   */
  decoding(choices) {
    const options = this.defaults.changed(choices);
    this.kindRules.checkWords(this.prefix, options.maxWords);
    return options;
  }
}

/**
 * Return whether a file with these entries must end with a checksum: from version 1.4 on.
 *
 * Throws `BundleError` where there is no version, or none that can be read.
 *
 * @param {ReadonlyMap<string, Uint8Array>} entries
 * @returns {boolean}
 */
export function requiresChecksum(entries) {
  if (entries.has(CHECK_ENTRY)) return true;
  const head = loadsObject(MANIFEST_ENTRY, entry(entries, MANIFEST_ENTRY));
  const version = head.text("format_version");
  checkVersion(version);
  return Number(version.split(".")[1]) >= FIRST_WITH_CHECKSUM;
}

/**
 * Run what reads a file's own options, whose errors are the file's.
 *
 * @template T
 * @param {() => T} read
 * @returns {T}
 */
function legal(read) {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new BundleError(`The file contradicts itself: ${error.message}`);
  }
}

/**
 * @param {ReadonlyMap<string, Uint8Array>} entries
 * @param {string} name
 */
function entry(entries, name) {
  const content = entries.get(name);
  if (content === undefined) {
    throw new BundleError(
      `The file holds no ${name}, so it is no captioner of edgecap; make one with: edgecap export`,
    );
  }
  return content;
}

/** @param {string} version */
function checkVersion(version) {
  const own = Number(FORMAT_VERSION.split(".")[0]);
  const parts = /^(\d+)\.(\d+)$/.exec(version);
  if (parts === null) {
    throw new BundleError(
      `The file's format version is '${version}' where one like ${FORMAT_VERSION} belongs; export ` +
        "the captioner again.",
    );
  }
  if (Number(parts[1]) > own) {
    throw new BundleError(
      `The file has format version ${version}, and this edgecap-web reads ${own}.x; ${UPGRADE}`,
    );
  }
  if (Number(parts[1]) < own) {
    throw new BundleError(
      `The file has format version ${version}, older than the ${own}.x that this edgecap-web ` +
        "reads; export the captioner again.",
    );
  }
}

/**
 * @param {Fields} item
 * @returns {StateTensor}
 */
function stateTensorOf(item) {
  const [name, shape, dtype] = [item.text("name"), item.integers("shape"), item.text("dtype")];
  if (!/^[\p{ID_Start}_]\p{ID_Continue}*$/u.test(name)) {
    throw new BundleError(`The state tensor's name is '${name}'; give letters and digits.`);
  }
  const sides = `[${shape.slice(0, STATE_SIDES + 1).join(", ")}]`;
  if (shape.length < 1 || shape.length > STATE_SIDES || shape.some((side) => side < 1)) {
    throw new BundleError(
      `The state tensor ${name} has the shape ${sides}; give 1 to ${STATE_SIDES} sides, each of 1 ` +
        "or more.",
    );
  }
  if (shape.reduce((product, side) => product * side, 1) > STATE_VALUES) {
    throw new BundleError(
      `The state tensor ${name} has the shape ${sides}; a row of at most ${STATE_VALUES} values ` +
        "is read.",
    );
  }
  if (dtype !== "float32") {
    throw new BundleError(
      `The state tensor ${name} is '${dtype}'; float32 is the only legal type.`,
    );
  }
  return Object.freeze({ name, shape, dtype });
}

/** @param {Fields} item */
function preparationOf(item) {
  return new Preparation({
    height: item.integer("height"),
    width: item.integer("width"),
    fit: item.text("fit"),
    resampling: item.text("resampling"),
    channels: item.text("channels"),
    scaling: item.text("scaling"),
  });
}

/** @param {Fields} item */
function prefixOf(item) {
  return new Prefix({
    length: item.optionalInteger("length"),
    paddingId: item.integer("padding_id"),
    padded: item.text("padded"),
    skippedId: item.optionalInteger("skipped_id"),
  });
}

/** @param {Fields} item */
function defaultsOf(item) {
  return new DecodingOptions({
    beam: item.integer("beam"),
    lengthPenalty: item.number("length_penalty"),
    minWords: item.integer("min_words"),
    maxWords: item.integer("max_words"),
    noRepeatNgram: item.integer("no_repeat_ngram"),
    nBest: item.integer("n_best"),
  });
}

/**
 * @param {Fields} item
 * @param {Uint8Array} text
 */
function vocabularyOf(item, text) {
  const lines = text.reduce((count, byte) => count + (byte === LINE_END ? 1 : 0), 0);
  if (lines > VOCABULARY_WORDS) {
    throw new BundleError(
      `The file's vocabulary has more than ${VOCABULARY_WORDS} words, the most that are read; ` +
        "export the captioner again.",
    );
  }
  const words = utf8(VOCABULARY_ENTRY, text).split("\n");
  if (words[words.length - 1] === "") words.pop();
  if (words.length !== item.integer("size")) {
    throw new BundleError(
      `The file's vocabulary has ${words.length} words, but ${MANIFEST_ENTRY} says ` +
        `${item.integer("size")}; export the captioner again.`,
    );
  }
  return new Vocabulary({
    words,
    startId: item.integer("start_id"),
    endId: item.integer("end_id"),
    paddingId: item.optionalInteger("padding_id"),
    unknownId: item.optionalInteger("unknown_id"),
    neverSaid: item.integers("never_said"),
    attachLeft: item.texts("attach_left"),
  });
}
