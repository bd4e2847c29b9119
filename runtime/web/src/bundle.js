/** A captioner's file: the model with its manifest inside. */

import { BrokenZipError, read, recognises } from "./containers/flatbuffer_zip.js";
import { BundleError, firstLine } from "./errors.js";
import { Manifest } from "./manifest.js";

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
 * Throws `BundleError` for a file that is no captioner, is truncated, contradicts itself or has
 * another major version.
 *
 * @param {BundleSource} source
 * @returns {Promise<Manifest>}
 */
export async function readManifest(source) {
  const { name, bytes } = await readFile(source);
  return manifestIn(name, bytes);
}

/**
 * Read the manifest in a file's bytes.
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
  let entries;
  try {
    entries = await read(bytes);
  } catch (error) {
    if (!(error instanceof BrokenZipError)) throw error;
    throw new BundleError(
      `${name} is a .tflite model without edgecap's entries, or is truncated; copy it again, or ` +
        "make a captioner with: edgecap export",
    );
  }
  try {
    return new Manifest(entries);
  } catch (error) {
    if (error instanceof BundleError) throw new BundleError(`${name}: ${error.message}`);
    throw error;
  }
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
    return { name, bytes: await body(response, progress) };
  } catch (error) {
    if (error instanceof BundleError) throw error;
    throw new BundleError(
      `Unable to get ${address} (${firstLine(error)}); check the address and the network.`,
    );
  }
}

/**
 * @param {Response} response
 * @param {Progress} [progress]
 */
async function body(response, progress) {
  if (progress === undefined || response.body === null) {
    return new Uint8Array(await response.arrayBuffer());
  }
  // Behind a compression the length is that of what travels, not of what arrives here.
  const encoded = response.headers.get("content-encoding") !== null;
  const total = encoded ? 0 : Number(response.headers.get("content-length") ?? 0);
  const reader = response.body.getReader();
  /** @type {Uint8Array[]} */
  const pieces = [];
  let loaded = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    loaded += value.length;
    progress(loaded, total);
  }
  const bytes = new Uint8Array(loaded);
  let place = 0;
  for (const piece of pieces) {
    bytes.set(piece, place);
    place += piece.length;
  }
  return bytes;
}

/** @param {unknown} value */
function describe(value) {
  if (value === null || value === undefined) return String(value);
  return `a ${/** @type {object} */ (value).constructor?.name ?? typeof value}`;
}
