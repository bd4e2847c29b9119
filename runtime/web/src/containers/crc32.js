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
  const end = content.length - (content.length % 8);
  let value = -1;
  let index = 0;
  for (; index < end; index += 8) {
    const low =
      value ^
      (content[index] |
        (content[index + 1] << 8) |
        (content[index + 2] << 16) |
        (content[index + 3] << 24));
    value =
      table[1792 + (low & 0xff)] ^
      table[1536 + ((low >>> 8) & 0xff)] ^
      table[1280 + ((low >>> 16) & 0xff)] ^
      table[1024 + (low >>> 24)] ^
      table[768 + content[index + 4]] ^
      table[512 + content[index + 5]] ^
      table[256 + content[index + 6]] ^
      table[content[index + 7]];
  }
  for (; index < content.length; index++) {
    value = table[(value ^ content[index]) & 0xff] ^ (value >>> 8);
  }
  return ~value >>> 0;
}
