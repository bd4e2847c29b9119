/**
 * Entries of a .tflite file: a ZIP behind the flatbuffer, as TFLite metadata keeps its files.
 *
 * The ZIP is read by its central directory (PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and
 * 4.3.16); stored and deflated entries, no ZIP64, no encryption: what edgecap writes.
 */

const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_SIZE = 22;
const LONGEST_COMMENT = 0xffff;

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
 * Read the ZIP's entries; throws `BrokenZipError` where there is no whole ZIP.
 *
 * @param {Uint8Array} file
 * @returns {Promise<Map<string, Uint8Array>>}
 */
export async function read(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  try {
    /** @type {Map<string, Uint8Array>} */
    const entries = new Map();
    for (const item of directory(view)) {
      const start = contentStart(view, item.offset);
      const packed = file.subarray(start, start + item.packedSize);
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

/** @param {DataView} view */
function* directory(view) {
  const end = endRecord(view);
  const size = view.getUint32(end + 12, true);
  const start = end - size;
  // Offsets count from where the ZIP's writer took the file to begin.
  const shift = start - view.getUint32(end + 16, true);
  const text = new TextDecoder();
  let place = start;
  while (place < end) {
    if (view.getUint32(place, true) !== CENTRAL) throw new BrokenZipError("no directory entry");
    const nameLength = view.getUint16(place + 28, true);
    const name = new Uint8Array(view.buffer, view.byteOffset + place + 46, nameLength);
    yield {
      name: text.decode(name),
      method: view.getUint16(place + 10, true),
      crc: view.getUint32(place + 16, true),
      packedSize: view.getUint32(place + 20, true),
      size: view.getUint32(place + 24, true),
      offset: view.getUint32(place + 42, true) + shift,
    };
    place += 46 + nameLength + view.getUint16(place + 30, true) + view.getUint16(place + 32, true);
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
  if (method !== 8) throw new BrokenZipError(`compression method ${method}`);
  const stream = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (packed)]).stream();
  const inflated = stream.pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const content = new Uint8Array(size);
  let filled = 0;
  for (;;) {
    const { done, value } = await inflated.read().catch(() => {
      throw new BrokenZipError("no deflate stream");
    });
    if (done) return content.subarray(0, filled);
    // More than the directory says is refused, not collected: it may be a bomb.
    content.set(value, filled);
    filled += value.length;
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** @param {Uint8Array} content */
function crc32(content) {
  let value = 0xffffffff;
  for (const byte of content) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
