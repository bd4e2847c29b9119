/**
 * From a photograph to the uint8 pixels that an encoder takes.
 *
 * The rules are those of the format, the same as in Python: EXIF orientation honoured; transparency
 * composited over white before anything is resized; colour profiles ignored; then
 * `Preparation.fit` with `Preparation.resampling`.
 */

import { OptionError } from "./errors.js";
import { IMAGE_PIXELS, IMAGE_SIDE } from "./limits.js";
import { openPhoto } from "./photos.js";
import { RESAMPLING, resample } from "./resampling.js";

/** @typedef {import("./photos.js").Photo} Photo */

export const FITS = ["stretch", "crop"];

/** How a photograph becomes an encoder's input; throws `OptionError` on illegal values. */
export class Preparation {
  /**
   * @param {object} parts
   * @param {number} parts.height Height of the encoder's input in pixels.
   * @param {number} parts.width Width of the encoder's input in pixels.
   * @param {string} [parts.fit] `stretch` to the size, or `crop`: scale until the size is covered,
   *   then cut the centre.
   * @param {string} [parts.resampling] Pillow's resampling filter, a name in `RESAMPLING`.
   * @param {string} [parts.channels] Order of the channels; `RGB` is the only one.
   * @param {string} [parts.scaling] What the graph itself does to the pixels, for the reader.
   */
  constructor({
    height,
    width,
    fit = "stretch",
    resampling = "bilinear",
    channels = "RGB",
    scaling = "inside the graph",
  }) {
    this.height = height;
    this.width = width;
    this.fit = fit;
    this.resampling = resampling;
    this.channels = channels;
    this.scaling = scaling;
    for (const [name, value] of Object.entries({ height, width })) {
      if (!Number.isInteger(value) || value < 1 || value > IMAGE_SIDE) {
        throw new OptionError(
          `The preparation's ${name} is ${value}; give a whole number of pixels from 1 to ` +
            `${IMAGE_SIDE}.`,
        );
      }
    }
    if (height * width > IMAGE_PIXELS) {
      throw new OptionError(
        `The preparation's size is ${height} x ${width}; give at most ${IMAGE_PIXELS} pixels.`,
      );
    }
    for (const { name, value, legal } of [
      { name: "fit", value: fit, legal: FITS },
      { name: "resampling", value: resampling, legal: RESAMPLING },
      { name: "channels", value: channels, legal: ["RGB"] },
    ]) {
      if (!legal.includes(value)) {
        throw new OptionError(
          `The preparation's ${name} is '${value}'; choose one of ${legal.join(", ")}.`,
        );
      }
    }
  }

  /**
   * Give the [width, height] to which a picture of this size is resized before cropping.
   *
   * @param {number} width
   * @param {number} height
   * @returns {[number, number]}
   */
  covering(width, height) {
    if (this.fit === "stretch") return [this.width, this.height];
    const scale = Math.max(this.width / width, this.height / height);
    return [
      Math.max(this.width, roundHalfEven(width * scale)),
      Math.max(this.height, roundHalfEven(height * scale)),
    ];
  }
}

/**
 * Decode a photograph and bring it to uint8 [height, width, 3], RGB; throws `ImageError`.
 *
 * @param {Photo} photo
 * @param {Preparation} preparation
 * @returns {Promise<Uint8Array>}
 */
export async function prepare(photo, preparation) {
  const picture = await openPhoto(photo);
  try {
    return await fitted(picture, preparation);
  } finally {
    picture.close();
  }
}

/**
 * Bring an opened picture to the size of a preparation.
 *
 * @param {import("./resampling.js").Strips} picture
 * @param {Preparation} preparation
 * @returns {Promise<Uint8Array>} RGB pixels, [height, width, 3].
 */
export async function fitted(picture, preparation) {
  const [width, height] = preparation.covering(picture.width, picture.height);
  const resized = await resample(picture, width, height, preparation.resampling);
  if (width === preparation.width && height === preparation.height) return resized;
  const left = Math.floor((width - preparation.width) / 2);
  const top = Math.floor((height - preparation.height) / 2);
  const stride = preparation.width * 3;
  const cut = new Uint8Array(preparation.height * stride);
  for (let row = 0; row < preparation.height; row++) {
    const start = ((top + row) * width + left) * 3;
    cut.set(resized.subarray(start, start + stride), row * stride);
  }
  return cut;
}

/**
 * Round as Python does: a half goes to the even neighbour.
 *
 * @param {number} value
 */
function roundHalfEven(value) {
  const below = Math.floor(value);
  const over = value - below;
  if (over !== 0.5) return over < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
