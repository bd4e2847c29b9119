/** Reads the fields of JSON objects, strictly and with sentences for errors. */

import { BundleError, firstLine } from "./errors.js";
import { JSON_BYTES, JSON_DEPTH, TEXT_LENGTH } from "./limits.js";

const SHOWN = 80;

/**
 * Decode UTF-8; throws `BundleError` for bytes that are none.
 *
 * @param {string} entry
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function utf8(entry, bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new BundleError(`${entry} in the file is no UTF-8; export the captioner again.`);
  }
}

/**
 * Parse an entry that must be a JSON object in UTF-8, within the limits.
 *
 * Throws `BundleError` for all else, for numbers beyond a float64 too.
 *
 * @param {string} entry
 * @param {Uint8Array} bytes
 * @returns {Fields}
 */
export function loadsObject(entry, bytes) {
  if (bytes.length > JSON_BYTES) {
    throw new BundleError(
      `${entry} in the file has ${bytes.length} bytes, and ${JSON_BYTES} are the most that are ` +
        "read; export the captioner again.",
    );
  }
  const text = utf8(entry, bytes);
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? firstLine(error) : String(error);
    throw new BundleError(`${entry} in the file is no JSON (${reason}); export the captioner again.`);
  }
  checkDepth(entry, value);
  return new Fields(entry, value);
}

/**
 * Refuse objects and lists that are too many inside each other, and numbers that are not finite.
 *
 * @param {string} entry
 * @param {unknown} value
 */
function checkDepth(entry, value) {
  /** @type {unknown[]} */
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (level.includes(Infinity) || level.includes(-Infinity)) {
      throw new BundleError(
        `${entry} in the file is no JSON (a number is not finite); export the captioner again.`,
      );
    }
    const containers = level.filter((item) => typeof item === "object" && item !== null);
    if (depth >= JSON_DEPTH && containers.length > 0) {
      throw new BundleError(
        `${entry} in the file has more than ${JSON_DEPTH} objects and lists inside each other; ` +
          "export the captioner again.",
      );
    }
    level = containers.flatMap((item) => Object.values(/** @type {object} */ (item)));
  }
}

/**
 * Return a value as JSON for a message, cut where it is long.
 *
 * @param {unknown} value
 */
function shown(value) {
  const text = JSON.stringify(value);
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}...`;
}

/** One JSON object; its getters check types and name the field in the `BundleError`. */
export class Fields {
  #where;
  /** @type {Record<string, unknown>} */
  #value;

  /**
   * @param {string} where
   * @param {unknown} value
   */
  constructor(where, value) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new BundleError(
        `${where} is ${shown(value)} where a JSON object belongs; export the captioner again.`,
      );
    }
    this.#where = where;
    this.#value = /** @type {Record<string, unknown>} */ (value);
  }

  /**
   * Tell whether the field is there and not null.
   *
   * @param {string} name
   */
  has(name) {
    return Object.hasOwn(this.#value, name) && this.#value[name] !== null;
  }

  /**
   * @param {string} name
   * @param {(value: unknown) => boolean} legal
   * @param {string} meaning
   */
  #get(name, legal, meaning) {
    if (!Object.hasOwn(this.#value, name)) {
      throw new BundleError(`${this.#where} has no '${name}'; export the captioner again.`);
    }
    const value = this.#value[name];
    if (!legal(value)) {
      throw new BundleError(
        `${this.#where} has ${name} = ${shown(value)} where ${meaning} belongs; export ` +
          "the captioner again.",
      );
    }
    return value;
  }

  /**
   * Return a string of at most so many characters.
   *
   * @param {string} name
   * @param {number} [longest]
   * @returns {string}
   */
  text(name, longest = TEXT_LENGTH) {
    const value = /** @type {string} */ (this.#get(name, isText, "a string"));
    // Counted as Python does, by code points.
    if (value.length > longest && [...value].length > longest) {
      throw new BundleError(
        `${this.#where} has a ${name} of ${[...value].length} characters, and ${longest} are ` +
          "the most that are read; export the captioner again.",
      );
    }
    return value;
  }

  /**
   * Give a whole number.
   *
   * @param {string} name
   * @returns {number}
   */
  integer(name) {
    return /** @type {number} */ (this.#get(name, Number.isInteger, "a whole number"));
  }

  /**
   * Give a number.
   *
   * @param {string} name
   * @returns {number}
   */
  number(name) {
    return /** @type {number} */ (this.#get(name, (value) => typeof value === "number", "a number"));
  }

  /**
   * Give a whole number, or null where the field is null or absent.
   *
   * @param {string} name
   * @returns {number | null}
   */
  optionalInteger(name) {
    return this.has(name) ? this.integer(name) : null;
  }

  /**
   * Give a list of whole numbers.
   *
   * @param {string} name
   * @returns {number[]}
   */
  integers(name) {
    return /** @type {number[]} */ (
      this.#get(name, listOf(Number.isInteger), "a list of whole numbers")
    );
  }

  /**
   * Give a list of finite numbers.
   *
   * @param {string} name
   * @returns {number[]}
   */
  numbers(name) {
    return /** @type {number[]} */ (
      this.#get(name, listOf(Number.isFinite), "a list of finite numbers")
    );
  }

  /**
   * Give a list of strings.
   *
   * @param {string} name
   * @returns {string[]}
   */
  texts(name) {
    return /** @type {string[]} */ (this.#get(name, listOf(isText), "a list of strings"));
  }

  /**
   * Give an object inside this one.
   *
   * @param {string} name
   * @returns {Fields}
   */
  fields(name) {
    return new Fields(`${this.#where}'s ${name}`, this.raw(name));
  }

  /**
   * Give a list of objects.
   *
   * @param {string} name
   * @returns {Fields[]}
   */
  listOfFields(name) {
    const values = /** @type {unknown[]} */ (this.#get(name, Array.isArray, "a list of objects"));
    return values.map((value, place) => new Fields(`${this.#where}'s ${name}[${place}]`, value));
  }

  /**
   * Give an object as it stands.
   *
   * @param {string} name
   * @returns {Record<string, unknown>}
   */
  raw(name) {
    return /** @type {Record<string, unknown>} */ (this.#get(name, isObject, "an object"));
  }

  /** Give the whole object as it stands. */
  all() {
    return this.#value;
  }
}

/** @param {unknown} value */
function isText(value) {
  return typeof value === "string";
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {(value: unknown) => boolean} legal */
function listOf(legal) {
  return (/** @type {unknown} */ value) => Array.isArray(value) && value.every(legal);
}
