/**
 * Pillow's resampling of 8-bit pictures, to the last bit.
 *
 * Each output value is a weighted sum of the input values within the filter's support, which is
 * stretched where a picture is made smaller (so that it antialiases). Rows and columns are resized
 * one after the other, rounded to 8 bits between. Weights are whole numbers of 1 / 2 ** 22. NEAREST
 * takes the one pixel whose square holds the centre of the output's. (Pillow, `Resample.c` and
 * `Geometry.c`; which comes first, rows or columns, was found by trying Pillow 13.)
 */

/**
 * A picture that is read in horizontal strips, so that a large one is never whole in memory twice.
 *
 * @typedef {object} Strips
 * @property {number} width
 * @property {number} height
 * @property {(top: number, rows: number) => Promise<Uint8Array>} read Give RGB pixels of so many
 *   rows, [rows, width, 3].
 */


/**
 * @typedef {object} Filter
 * @property {number} support Half of the filter's width, in pixels of the larger picture.
 * @property {(x: number) => number} weight
 */

const PRECISION = 1 << 22;
const HALF = PRECISION / 2;
const STRIP_PIXELS = 1 << 20;

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** @param {number} x */
function cubic(x) {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

/** @type {Readonly<Record<string, Filter | null>>} */
const FILTERS = Object.freeze({
  nearest: null,
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: cubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  hamming: {
    support: 1,
    weight: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI))),
  },
});

/** The names of the filters. */
export const RESAMPLING = Object.keys(FILTERS);

/**
 * Bring a picture to another size.
 *
 * @param {Strips} picture
 * @param {number} width
 * @param {number} height
 * @param {string} resampling One of `RESAMPLING`.
 * @returns {Promise<Uint8Array>} RGB pixels, [height, width, 3].
 */
export async function resample(picture, width, height, resampling) {
  const filter = FILTERS[resampling];
  if (filter === null) return nearest(picture, width, height);
  const across = weights(picture.width, width, filter);
  const down = weights(picture.height, height, filter);
  return columnsFirst(picture, width, height)
    ? resampleTall(picture, width, height, across, down)
    : resampleWide(picture, width, height, across, down);
}

/**
 * Tell whether Pillow resizes the columns first, as it does since version 13 where the height
 * shrinks by more than twice the pixels that the width does; else, and before, the rows.
 *
 * @param {Strips} picture
 * @param {number} width
 * @param {number} height
 */
function columnsFirst(picture, width, height) {
  const shrinks = picture.height - height;
  return shrinks > 0 && shrinks > 2 * (picture.width - width);
}

/**
 * @param {Strips} picture
 * @param {number} width
 * @param {number} height
 * @param {Weights} across
 * @param {Weights} down
 */
async function resampleWide(picture, width, height, across, down) {
  const narrow = new Uint8Array(picture.height * width * 3);
  for await (const { top, rows, pixels } of strips(picture)) {
    const target = narrow.subarray(top * width * 3, (top + rows) * width * 3);
    resampleRows(pixels, picture.width, rows, target, width, across);
  }
  const columns = new Columns(width * 3, height, down);
  columns.add(narrow, 0, picture.height);
  return columns.pixels();
}

/**
 * @param {Strips} picture
 * @param {number} width
 * @param {number} height
 * @param {Weights} across
 * @param {Weights} down
 */
async function resampleTall(picture, width, height, across, down) {
  const columns = new Columns(picture.width * 3, height, down);
  for await (const { top, rows, pixels } of strips(picture)) columns.add(pixels, top, rows);
  const target = new Uint8Array(height * width * 3);
  resampleRows(columns.pixels(), picture.width, height, target, width, across);
  return target;
}

/** @param {Strips} picture */
async function* strips(picture) {
  const most = Math.max(1, Math.floor(STRIP_PIXELS / picture.width));
  for (let top = 0; top < picture.height; top += most) {
    const rows = Math.min(most, picture.height - top);
    yield { top, rows, pixels: await picture.read(top, rows) };
  }
}

/**
 * For each output place where its inputs begin, how many they are and what each weighs.
 *
 * @typedef {object} Weights
 * @property {Int32Array} first
 * @property {Int32Array} count
 * @property {Int32Array} values `most` for each output place, in units of 1 / PRECISION.
 * @property {number} most
 */

/**
 * @param {number} from
 * @param {number} to
 * @param {Filter} filter
 * @returns {Weights}
 */
function weights(from, to, filter) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const values = new Int32Array(to * most);
  const exact = new Float64Array(most);
  const inverse = 1 / stretch;
  for (let place = 0; place < to; place++) {
    const centre = (place + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    let sum = 0;
    for (let input = begin; input < end; input++) {
      exact[input - begin] = filter.weight((input - centre + 0.5) * inverse);
      sum += exact[input - begin];
    }
    first[place] = begin;
    count[place] = end - begin;
    for (let k = 0; k < end - begin; k++) {
      const value = (sum === 0 ? exact[k] : exact[k] / sum) * PRECISION;
      values[place * most + k] = Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
    }
  }
  return { first, count, values, most };
}

/**
 * @param {Uint8Array} pixels
 * @param {number} from
 * @param {number} rows
 * @param {Uint8Array} target
 * @param {number} to
 * @param {Weights} weights
 */
function resampleRows(pixels, from, rows, target, to, { first, count, values, most }) {
  let out = 0;
  for (let row = 0; row < rows; row++) {
    for (let place = 0; place < to; place++) {
      let input = (row * from + first[place]) * 3;
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      const end = place * most + count[place];
      for (let k = place * most; k < end; k++, input += 3) {
        const weight = values[k];
        red = (red + Math.imul(pixels[input], weight)) | 0;
        green = (green + Math.imul(pixels[input + 1], weight)) | 0;
        blue = (blue + Math.imul(pixels[input + 2], weight)) | 0;
      }
      target[out++] = clipped(red);
      target[out++] = clipped(green);
      target[out++] = clipped(blue);
    }
  }
}

/** Resizes columns while strips of the picture arrive. */
class Columns {
  #stride;
  #to;
  #weights;
  #sums;

  /**
   * @param {number} stride Values in a row.
   * @param {number} to Rows wanted.
   * @param {Weights} weights
   */
  constructor(stride, to, weights) {
    this.#stride = stride;
    this.#to = to;
    this.#weights = weights;
    this.#sums = new Int32Array(to * stride).fill(HALF);
  }

  /**
   * @param {Uint8Array} pixels
   * @param {number} top
   * @param {number} rows
   */
  add(pixels, top, rows) {
    const { first, count, values, most } = this.#weights;
    for (let place = 0; place < this.#to; place++) {
      const begin = Math.max(top, first[place]);
      const end = Math.min(top + rows, first[place] + count[place]);
      const sums = this.#sums.subarray(place * this.#stride, (place + 1) * this.#stride);
      for (let row = begin; row < end; row++) {
        const weight = values[place * most + row - first[place]];
        const start = (row - top) * this.#stride;
        for (let x = 0; x < sums.length; x++) sums[x] += Math.imul(pixels[start + x], weight);
      }
    }
  }

  /** Give the resized rows. */
  pixels() {
    const target = new Uint8Array(this.#sums.length);
    for (let x = 0; x < target.length; x++) target[x] = clipped(this.#sums[x]);
    return target;
  }
}

/** @param {number} sum */
function clipped(sum) {
  const value = sum >> 22;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/**
 * @param {Strips} picture
 * @param {number} width
 * @param {number} height
 */
async function nearest(picture, width, height) {
  const columns = centres(picture.width, width);
  const rowsWanted = centres(picture.height, height);
  const target = new Uint8Array(height * width * 3);
  let y = 0;
  for await (const { top, rows, pixels } of strips(picture)) {
    for (; y < height && rowsWanted[y] < top + rows; y++) {
      const start = (rowsWanted[y] - top) * picture.width * 3;
      for (let x = 0; x < width; x++) {
        const input = start + columns[x] * 3;
        target.set(pixels.subarray(input, input + 3), (y * width + x) * 3);
      }
    }
  }
  return target;
}

/**
 * @param {number} from
 * @param {number} to
 */
function centres(from, to) {
  const scale = from / to;
  const places = new Int32Array(to);
  // Summed up, not multiplied: where a centre falls on a pixel's edge, the rounding decides.
  let centre = scale * 0.5;
  for (let place = 0; place < to; place++, centre += scale) {
    places[place] = Math.min(from - 1, Math.trunc(centre));
  }
  return places;
}
