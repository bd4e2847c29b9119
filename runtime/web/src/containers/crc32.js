/** CRC-32 as ZIP and zlib compute it; a browser has none of its own. */

// Eight tables of 256 in one: table k holds what a byte contributes k bytes later, so that eight
// bytes are taken at once, several times as fast as one by one.
const TABLES = new Uint32Array(8 * 256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  TABLES[byte] = value;
}
for (let index = 256; index < TABLES.length; index++) {
  const before = TABLES[index - 256];
  TABLES[index] = TABLES[before & 0xff] ^ (before >>> 8);
}

/**
 * Return the CRC-32 of bytes, a whole number from 0 to 2 ** 32 - 1.
 *
 * @param {Uint8Array} content
 * @returns {number}
 */
export function crc32(content) {
  const table = TABLES;
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const end = content.length - (content.length % 8);
  let value = -1;
  let index = 0;
  for (; index < end; index += 8) {
    const low = value ^ view.getInt32(index, true);
    const high = view.getInt32(index + 4, true);
    value =
      table[1792 + (low & 0xff)] ^
      table[1536 + ((low >>> 8) & 0xff)] ^
      table[1280 + ((low >>> 16) & 0xff)] ^
      table[1024 + (low >>> 24)] ^
      table[768 + (high & 0xff)] ^
      table[512 + ((high >>> 8) & 0xff)] ^
      table[256 + ((high >>> 16) & 0xff)] ^
      table[high >>> 24];
  }
  for (; index < content.length; index++) {
    value = table[(value ^ content[index]) & 0xff] ^ (value >>> 8);
  }
  return ~value >>> 0;
}
