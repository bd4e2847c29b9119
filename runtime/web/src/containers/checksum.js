/**
 * The checksum at a file's end: the CRC-32 of every byte before its own 8 digits.
 *
 * It finds accidents (a flipped bit, a file cut short), not attackers: who changes a file on
 * purpose can write a new one.
 */

import { BundleError } from "../errors.js";
import { crc32 } from "./crc32.js";

const DIGITS = 8;
// How far from its end a file is searched for the checksum's name: one that is there but no longer
// in its place shows that something was put behind it.
const SEARCHED = 2 ** 16;
const REMEDY = "copy it again, or export the captioner again.";

/**
 * Return whether a file ends with its right checksum; false where there is no trace of one.
 *
 * Throws `BundleError`, naming the file, for a wrong checksum or a part of one.
 *
 * @param {string} name
 * @param {Uint8Array} file
 * @param {Uint8Array} before The bytes between which and the file's end the digits stand.
 * @param {string} key The part of them that occurs nowhere else, in ASCII.
 * @returns {boolean}
 */
export function hasChecksum(name, file, before, key) {
  const body = file.subarray(0, Math.max(0, file.length - DIGITS));
  const found = body.subarray(Math.max(0, body.length - before.length));
  const same = before.filter((byte, index) => byte === found[index]).length;
  if (same === before.length) {
    const wanted = crc32(body).toString(16).padStart(DIGITS, "0");
    if (latin1(file.subarray(body.length)) === wanted) return true;
    throw new BundleError(
      `${name} is damaged: its checksum is not that of its bytes; ${REMEDY}`,
    );
  }
  // Half of it right is no chance: it was there, and a part of it was overwritten.
  const end = latin1(file.subarray(Math.max(0, file.length - SEARCHED)));
  if (2 * same >= before.length || end.includes(key)) {
    throw new BundleError(
      `${name} is damaged: its end was overwritten, cut or written behind, so its checksum can't ` +
        `be read; ${REMEDY}`,
    );
  }
  return false;
}

/**
 * Return the error for a file that must have a checksum and has no trace of one.
 *
 * @param {string} name
 */
export function missingChecksum(name) {
  return new BundleError(
    `${name} is damaged or was changed by another program: it lacks the checksum that its format ` +
      `version has at the end; ${REMEDY}`,
  );
}

/** @param {Uint8Array} bytes */
function latin1(bytes) {
  // Browsers' "latin1" is windows-1252, which differs outside of ASCII alone.
  return new TextDecoder("latin1").decode(bytes);
}
