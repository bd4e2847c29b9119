/** The errors that edgecap raises on purpose; the message of each is one sentence for a user. */

/** Base of all errors that edgecap raises on purpose; its message is ONE sentence. */
export class EdgecapError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/** A file is no captioner, is truncated, contradicts itself or has a version that is too new. */
export class BundleError extends EdgecapError {}

/** A photograph is missing, empty, broken, too large or no image at all. */
export class ImageError extends EdgecapError {}

/** An option has a value that is not legal; the text names the value and what is legal. */
export class OptionError extends EdgecapError {}

/** The interpreter can't be had in this browser; the text says what is missing. */
export class InterpreterError extends EdgecapError {}

/**
 * Give a library's complaint, often many lines, as a clause for one of our sentences.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function firstLine(error) {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.trim().split("\n")[0].replace(/[. ]+$/, "");
  return line || (error instanceof Error ? error.name : "no reason given");
}
