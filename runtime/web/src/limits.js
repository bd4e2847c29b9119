/**
 * How large the parts of a captioner's file may be; checked before anything is allocated.
 *
 * Each limit is far above what edgecap exports, and low enough that no file takes the machine. The
 * Python runtime has the same (runtime/edgecap_runtime/limits.py), and docs/format.md lists them.
 */

/** Bytes of a file: 2 GiB. */
export const FILE_BYTES = 2 ** 31;
/** Entries of a ZIP; edgecap writes 3 to 5. */
export const ENTRIES = 1000;
/** Bytes of an entry's name. */
export const ENTRY_NAME_BYTES = 256;
/** Bytes of one entry, unpacked; edgecap's largest have some 100 KB. */
export const ENTRY_BYTES = 2 ** 24;
/** Bytes of all entries together, unpacked. */
export const ENTRIES_BYTES = 2 ** 25;

/** Bytes of an entry in JSON. */
export const JSON_BYTES = 2 ** 21;
/** Objects and lists inside each other in an entry; edgecap's are 6 deep. */
export const JSON_DEPTH = 64;
/** Characters of a text that the reader uses, such as the captioner's name. */
export const TEXT_LENGTH = 1000;

/** Words of a vocabulary; the largest of language models' have as many. */
export const VOCABULARY_WORDS = 2 ** 18;
/** Characters of a word. */
export const WORD_LENGTH = 256;
/** Tensors of a decoder's state; an LSTM has 2 a layer. */
export const STATE_TENSORS = 64;
/** Sides of a state tensor's row. */
export const STATE_SIDES = 8;
/** Values of a state tensor's row (16 MiB); the map that attention asks has 131,072. */
export const STATE_VALUES = 2 ** 22;
/** Ids of a prefix; no caption has more than 1,000 words. */
export const PREFIX_LENGTH = 10_000;
/** Pixels of an encoder's input along one side. */
export const IMAGE_SIDE = 8192;
/** Pixels of an encoder's input, 4096 x 4096; InceptionV3's has 89,401. */
export const IMAGE_PIXELS = 2 ** 24;
