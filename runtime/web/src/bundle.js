/** A captioner's file: the model with its manifest inside. */

import { hasChecksum, missingChecksum } from "./containers/checksum.js";
import {
  BrokenZipError,
  CHECKSUM_BEFORE,
  CHECKSUM_KEY,
  read,
  recognises,
} from "./containers/flatbuffer_zip.js";
import { BundleError, firstLine } from "./errors.js";
import { FILE_BYTES } from "./limits.js";
import { Manifest, requiresChecksum } from "./manifest.js";

/**
 * A captioner's file: its address, what a file input or a drop gives, or its bytes.
 *
 * @typedef {string | URL | Blob | ArrayBuffer | Uint8Array} BundleSource
 */

/**
 * Called while a file arrives, with the bytes so far and of all; `total` is 0 where unknown.
 *
 * @callback Progress
 * @param {number} loaded
 * @param {number} total
 * @returns {void}
 */

/**
 * Read what a captioner's file says of itself, without an interpreter.
 *
 * Throws `BundleError` for a file that is no captioner, is damaged or truncated, contradicts
 * itself or has another major version.
 *
 * @param {BundleSource} source
 * @returns {Promise<Manifest>}
 */
export async function readManifest(source) {
  const { name, bytes } = await readFile(source);
  return manifestIn(name, bytes);
}

/**
 * Verify a file's checksum and read the manifest in its bytes.
 *
 * @param {string} name The file's name, for messages.
 * @param {Uint8Array} bytes
 * @returns {Promise<Manifest>}
 */
export async function manifestIn(name, bytes) {
  if (bytes.length === 0) {
    throw new BundleError(`${name} is empty (0 bytes); copy or export the captioner again.`);
  }
  if (!recognises(bytes)) {
    throw new BundleError(
      `${name} is no .tflite model, and a browser runs no other kind here; give a file that was ` +
        "written by: edgecap export ... -o captioner.tflite",
    );
  }
  if (bytes.length > FILE_BYTES) throw tooLarge(name, bytes.length);
  const checksummed = hasChecksum(name, bytes, CHECKSUM_BEFORE, CHECKSUM_KEY);
  let entries;
  try {
    entries = await read(name, bytes);
  } catch (error) {
    if (!(error instanceof BrokenZipError)) throw error;
    throw new BundleError(
      `${name} is a .tflite model without edgecap's entries, or is truncated; copy it again, or ` +
        "make a captioner with: edgecap export",
    );
  }
  try {
    const missing = !checksummed && requiresChecksum(entries);
    if (!missing) return new Manifest(entries);
  } catch (error) {
    if (error instanceof BundleError) throw new BundleError(`${name}: ${error.message}`);
    throw error;
  }
  throw missingChecksum(name);
}

/**
 * Get the bytes of a captioner's file; throws `BundleError` where they can't be had.
 *
 * @param {BundleSource} source
 * @param {Progress} [progress]
 * @returns {Promise<{name: string, bytes: Uint8Array}>}
 */
export async function readFile(source, progress) {
  if (source instanceof ArrayBuffer) return { name: "The file", bytes: new Uint8Array(source) };
  if (source instanceof Uint8Array) return { name: "The file", bytes: source };
  if (source instanceof Blob) {
    const name = "name" in source ? String(source.name) : "The file";
    if (source.size > FILE_BYTES) throw tooLarge(name, source.size);
    try {
      return { name, bytes: new Uint8Array(await source.arrayBuffer()) };
    } catch (error) {
      throw new BundleError(`Unable to read ${name} (${firstLine(error)}); choose it again.`);
    }
  }
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw new BundleError(
      `A captioner's file can't be ${describe(source)}; give an address, a File, or its bytes.`,
    );
  }
  return download(String(source), progress);
}

/**
 * @param {string} address
 * @param {Progress} [progress]
 */
async function download(address, progress) {
  const name = address.split(/[?#]/)[0].split("/").pop() || address;
  let response;
  try {
    response = await fetch(address);
    if (!response.ok) {
      const status = `${response.status} ${response.statusText}`.trim();
      throw new BundleError(`Unable to get ${address} (${status}); check the address.`);
    }
    return { name, bytes: await body(address, response, progress) };
  } catch (error) {
    if (error instanceof BundleError) throw error;
    throw new BundleError(
      `Unable to get ${address} (${firstLine(error)}); check the address and the network.`,
    );
  }
}

/**
 * @param {string} address
 * @param {Response} response
 * @param {Progress} [progress]
 */
async function body(address, response, progress) {
  // Behind a compression the length is that of what travels, not of what arrives here.
  const encoded = response.headers.get("content-encoding") !== null;
  const total = encoded ? 0 : Number(response.headers.get("content-length") ?? 0);
  if (total > FILE_BYTES) throw tooLarge(address, total);
  if (response.body === null || (progress === undefined && total > 0)) {
    return new Uint8Array(await response.arrayBuffer());
  }
  const reader = response.body.getReader();
  /** @type {Uint8Array[]} */
  const pieces = [];
  let loaded = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    loaded += value.length;
    if (loaded > FILE_BYTES) {
      await reader.cancel();
      throw tooLarge(address, loaded);
    }
    progress?.(loaded, total);
  }
  const bytes = new Uint8Array(loaded);
  let place = 0;
  for (const piece of pieces) {
    bytes.set(piece, place);
    place += piece.length;
  }
  return bytes;
}

/**
 * @param {string} name
 * @param {number} size
 */
function tooLarge(name, size) {
  return new BundleError(
    `${name} has ${size} bytes, and ${FILE_BYTES} are the most that are read; give a file that ` +
      "edgecap export wrote.",
  );
}

/** @param {unknown} value */
function describe(value) {
  if (value === null || value === undefined) return String(value);
  return `a ${/** @type {object} */ (value).constructor?.name ?? typeof value}`;
}
