/**
 * Entries of a .tflite file: a ZIP behind the flatbuffer, as TFLite metadata keeps its files.
 *
 * The ZIP is read by its central directory (PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and
 * 4.3.16); stored and deflated entries, no ZIP64, no encryption: what edgecap writes.
 */

import { BundleError } from "../errors.js";
import { ENTRIES, ENTRIES_BYTES, ENTRY_BYTES, ENTRY_NAME_BYTES } from "../limits.js";
import { crc32 } from "./crc32.js";

/** Begins the ZIP's comment; the checksum's digits behind it are the file's last bytes. */
export const CHECKSUM_KEY = "edgecap-crc32:";
/** What stands before the digits: the length of the comment, and its begin. */
export const CHECKSUM_BEFORE = Uint8Array.from([
  CHECKSUM_KEY.length + 8,
  0,
  ...new TextEncoder().encode(CHECKSUM_KEY),
]);

const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_SIZE = 22;
const LONGEST_COMMENT = 0xffff;
const PIECE = 4096;

/** There is no whole ZIP. */
export class BrokenZipError extends Error {}

/**
 * Tell whether these first bytes carry the flatbuffer's file identifier.
 *
 * @param {Uint8Array} head
 */
export function recognises(head) {
  return String.fromCharCode(...head.subarray(4, 8)) === "TFL3";
}

/**
 * Read the ZIP's entries.
 *
 * Throws `BrokenZipError` where there is no whole ZIP, `BundleError` for one beyond the limits.
 *
 * @param {string} name The file's name, for messages.
 * @param {Uint8Array} file
 * @returns {Promise<Map<string, Uint8Array>>}
 */
export async function read(name, file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  try {
    const { items, start } = directory(name, view);
    checkSizes(name, items);
    const starts = items.map((item) => contentStart(view, item.offset));
    checkApart(starts.map((begin, index) => [begin, begin + items[index].packedSize]), start);
    /** @type {Map<string, Uint8Array>} */
    const entries = new Map();
    for (const [index, item] of items.entries()) {
      const packed = file.subarray(starts[index], starts[index] + item.packedSize);
      const content = await unpacked(packed, item.method, item.size);
      if (content.length !== item.size || crc32(content) !== item.crc) {
        throw new BrokenZipError(`${item.name} is damaged`);
      }
      entries.set(item.name, content);
    }
    return entries;
  } catch (error) {
    // A view of bytes refuses what lies outside of it.
    if (error instanceof RangeError) throw new BrokenZipError(error.message);
    throw error;
  }
}

/** @param {DataView} view */
function endRecord(view) {
  const last = view.byteLength - END_SIZE;
  for (let place = last; place >= Math.max(0, last - LONGEST_COMMENT); place--) {
    const comment = view.byteLength - place - END_SIZE;
    if (view.getUint32(place, true) === END && view.getUint16(place + 20, true) === comment) {
      return place;
    }
  }
  throw new BrokenZipError("no end of central directory");
}

/**
 * An entry as the ZIP's central directory has it; `offset` is the index of its local header.
 *
 * @typedef {{name: string, flags: number, method: number, crc: number, packedSize: number,
 *   size: number, offset: number}} Item
 */

/**
 * @param {string} name
 * @param {DataView} view
 */
function directory(name, view) {
  const end = endRecord(view);
  const count = view.getUint16(end + 10, true);
  const start = end - view.getUint32(end + 12, true);
  // Offsets count from where the ZIP's writer took the file to begin.
  const shift = start - view.getUint32(end + 16, true);
  if (start < 0 || shift < 0 || view.getUint16(end + 8, true) !== count) {
    throw new BrokenZipError("no central directory");
  }
  if (count > ENTRIES) {
    throw new BundleError(
      `${name} has ${count} entries, and ${ENTRIES} are the most that are read; export the ` +
        "captioner again.",
    );
  }
  const text = new TextDecoder();
  /** @type {Item[]} */
  const items = [];
  let index = start;
  for (let number = 0; number < count; number++) {
    if (view.getUint32(index, true) !== CENTRAL) throw new BrokenZipError("no directory entry");
    const nameLength = view.getUint16(index + 28, true);
    if (nameLength > ENTRY_NAME_BYTES) {
      throw new BundleError(
        `${name} has an entry whose name takes ${nameLength} bytes, and ${ENTRY_NAME_BYTES} are ` +
          "the most that are read; export the captioner again.",
      );
    }
    items.push({
      name: text.decode(new Uint8Array(view.buffer, view.byteOffset + index + 46, nameLength)),
      flags: view.getUint16(index + 8, true),
      method: view.getUint16(index + 10, true),
      crc: view.getUint32(index + 16, true),
      packedSize: view.getUint32(index + 20, true),
      size: view.getUint32(index + 24, true),
      offset: view.getUint32(index + 42, true) + shift,
    });
    index += 46 + nameLength + view.getUint16(index + 30, true) + view.getUint16(index + 32, true);
  }
  if (index !== end) throw new BrokenZipError("the central directory has another length");
  if (new Set(items.map((item) => item.name)).size < items.length) {
    throw new BundleError(`${name} has two entries of one name; export the captioner again.`);
  }
  return { items, start };
}

/**
 * @param {string} name
 * @param {Item[]} items
 */
function checkSizes(name, items) {
  for (const item of items) {
    const largest = Math.max(item.size, item.packedSize);
    if (largest > ENTRY_BYTES) {
      throw new BundleError(
        `${name} has an entry '${item.name}' of ${largest} bytes, and ${ENTRY_BYTES} are the most ` +
          "that are read; export the captioner again.",
      );
    }
    if (item.flags & 1 || (item.method !== 0 && item.method !== 8)) {
      throw new BundleError(
        `${name} has an entry '${item.name}' that is encrypted or packed in another way than by ` +
          "deflate; export the captioner again.",
      );
    }
  }
  const total = items.reduce((sum, item) => sum + item.size, 0);
  if (total > ENTRIES_BYTES) {
    throw new BundleError(
      `${name} has entries of ${total} bytes together, and ${ENTRIES_BYTES} are the most that are ` +
        "read; export the captioner again.",
    );
  }
}

/**
 * Refuse contents that lie over each other or over the directory: a bomb's trick.
 *
 * @param {number[][]} spans Begin and end of each content.
 * @param {number} start Where the directory begins.
 */
function checkApart(spans, start) {
  const sorted = [...spans].sort(([begin, end], [other, last]) => begin - other || end - last);
  for (const [index, [, end]] of sorted.entries()) {
    const next = index + 1 < sorted.length ? sorted[index + 1][0] : start;
    if (end > next) throw new BrokenZipError("contents overlap");
  }
}

/**
 * @param {DataView} view
 * @param {number} place
 */
function contentStart(view, place) {
  if (view.getUint32(place, true) !== LOCAL) throw new BrokenZipError("no local header");
  return place + 30 + view.getUint16(place + 26, true) + view.getUint16(place + 28, true);
}

/**
 * @param {Uint8Array} packed
 * @param {number} method
 * @param {number} size
 * @returns {Promise<Uint8Array>}
 */
async function unpacked(packed, method, size) {
  if (method === 0) return packed.slice();
  let taken = 0;
  // In small pieces, for a stream inflates all of a piece at once: it may be a bomb.
  const pieces = new ReadableStream(
    {
      pull(controller) {
        if (taken >= packed.length) return controller.close();
        controller.enqueue(packed.slice(taken, taken + PIECE));
        taken += PIECE;
      },
    },
    { highWaterMark: 0 },
  );
  const inflated = pieces.pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const content = new Uint8Array(size);
  let filled = 0;
  for (;;) {
    const { done, value } = await inflated.read().catch(() => {
      throw new BrokenZipError("no deflate stream");
    });
    if (done) return content.subarray(0, filled);
    if (filled + value.length > size) {
      await inflated.cancel().catch(() => {});
      throw new BrokenZipError("more than the directory says");
    }
    content.set(value, filled);
    filled += value.length;
  }
}
