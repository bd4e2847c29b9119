/** Decodes photographs by the browser, to upright RGB pixels without colour management. */

import { ImageError, firstLine } from "./errors.js";

/**
 * A photograph: its address; an image file as File, Blob or bytes; or pixels that the browser has.
 *
 * @typedef {string | URL | Blob | ArrayBuffer | Uint8Array | ImageData | ImageBitmapSource} Photo
 */

/** @typedef {import("./resampling.js").Strips & {close: () => void}} Picture */

/** Largest picture that is read: the size at which Pillow speaks of a bomb. */
export const MAX_PIXELS = 178_956_970;

// Colours stay as they are in the file; transparent pixels keep their colours.
/** @type {ImageBitmapOptions} */
const AS_IT_IS = {
  colorSpaceConversion: "none",
  premultiplyAlpha: "none",
  imageOrientation: "from-image",
};

/**
 * Decode a photograph; throws `ImageError` for what is missing, empty, broken, too large or no
 * image. Call `close()` on what it gives.
 *
 * @param {Photo} photo
 * @returns {Promise<Picture>}
 */
export async function openPhoto(photo) {
  if (typeof ImageData !== "undefined" && photo instanceof ImageData) return ofImageData(photo);
  const { name, source } = await sourceOf(/** @type {Exclude<Photo, ImageData>} */ (photo));
  let bitmap;
  try {
    bitmap = await createImageBitmap(source, AS_IT_IS);
  } catch (error) {
    throw new ImageError(
      source instanceof Blob
        ? `${name} is broken or no image that this browser can read; give a complete JPEG, PNG, ` +
            "WebP or GIF."
        : `${name} has no pixels to read (${firstLine(error)}); give one that has been loaded.`,
    );
  }
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    const size = `${bitmap.width} x ${bitmap.height}`;
    bitmap.close();
    throw new ImageError(
      `${name} has ${size} pixels, more than the ${MAX_PIXELS} that are read; scale it down.`,
    );
  }
  return ofBitmap(bitmap);
}

/**
 * @param {Exclude<Photo, ImageData>} photo
 * @returns {Promise<{name: string, source: ImageBitmapSource}>}
 */
async function sourceOf(photo) {
  if (photo instanceof ArrayBuffer || photo instanceof Uint8Array) {
    return whole("The photograph", new Blob([/** @type {BlobPart} */ (photo)]));
  }
  if (photo instanceof Blob) {
    return whole("name" in photo ? String(photo.name) : "The photograph", photo);
  }
  if (typeof photo === "string" || photo instanceof URL) {
    return whole(String(photo), await fetched(String(photo)));
  }
  if (typeof photo !== "object" || photo === null) {
    throw new ImageError(
      `A photograph can't be ${photo === null ? "null" : `of type ${typeof photo}`}; give an ` +
        "address, a File, the bytes of an image file, or an image, canvas or video element.",
    );
  }
  const source = /** @type {ImageBitmapSource} */ (photo);
  return { name: `The ${/** @type {object} */ (photo).constructor.name}`, source };
}

/**
 * @param {string} name
 * @param {Blob} source
 */
function whole(name, source) {
  if (source.size === 0) {
    throw new ImageError(`${name} is empty (0 bytes); give a complete image file.`);
  }
  return { name, source };
}

/** @param {string} address */
async function fetched(address) {
  let response;
  try {
    response = await fetch(address);
  } catch (error) {
    throw new ImageError(`Unable to get ${address} (${firstLine(error)}); check the address.`);
  }
  if (!response.ok) {
    throw new ImageError(`Unable to get ${address} (${response.status}); check the address.`);
  }
  return response.blob();
}

/**
 * @param {ImageData} image
 * @returns {Picture}
 */
function ofImageData({ width, height, data }) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const stride = width * 4;
  return {
    width,
    height,
    read: async (top, rows) => overWhite(bytes.subarray(top * stride, (top + rows) * stride)),
    close() {},
  };
}

/**
 * @param {ImageBitmap} bitmap
 * @returns {Picture}
 */
function ofBitmap(bitmap) {
  const { width, height } = bitmap;
  /** @type {CanvasReader | undefined} */
  let canvas;
  return {
    width,
    height,
    async read(top, rows) {
      canvas ??= new CanvasReader(bitmap);
      const pixels = canvas.read(top, rows);
      if (isOpaque(pixels)) return overWhite(pixels);
      // A canvas keeps colours multiplied by their opacity, in 8 bits; a texture keeps them whole.
      const strip = await createImageBitmap(bitmap, 0, top, width, rows, AS_IT_IS);
      try {
        return overWhite(texturePixels(strip) ?? pixels);
      } finally {
        strip.close();
      }
    },
    close() {
      bitmap.close();
      canvas?.close();
    },
  };
}

/** Reads strips of a bitmap by one small canvas. */
class CanvasReader {
  /** @param {ImageBitmap} bitmap */
  constructor(bitmap) {
    this.bitmap = bitmap;
    this.canvas = new OffscreenCanvas(1, 1);
    const options = { willReadFrequently: true };
    const context = this.canvas.getContext("2d", options);
    if (context === null) {
      throw new ImageError("This browser gives no canvas to read pixels by; free some memory.");
    }
    this.context = context;
  }

  /**
   * @param {number} top
   * @param {number} rows
   */
  read(top, rows) {
    const { width } = this.bitmap;
    if (this.canvas.width !== width || this.canvas.height !== rows) {
      this.canvas.width = width;
      this.canvas.height = rows;
    } else {
      this.context.clearRect(0, 0, width, rows);
    }
    this.context.drawImage(this.bitmap, 0, -top);
    const { data } = this.context.getImageData(0, 0, width, rows);
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }

  close() {
    // Safari keeps a canvas' memory until it is small.
    this.canvas.width = this.canvas.height = 1;
  }
}

/** @type {WebGLRenderingContext | null | undefined} */
let webgl;

/**
 * Read a bitmap with transparency by WebGL; null where that can't be.
 *
 * @param {ImageBitmap} bitmap
 * @returns {Uint8Array | null}
 */
function texturePixels(bitmap) {
  webgl ??= new OffscreenCanvas(1, 1).getContext("webgl");
  const gl = webgl;
  if (gl === null || gl.isContextLost()) return null;
  const { width, height } = bitmap;
  if (Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  const texture = gl.createTexture();
  const frame = gl.createFramebuffer();
  try {
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) return null;
    const pixels = new Uint8Array(width * height * 4);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return gl.getError() === gl.NO_ERROR ? pixels : null;
  } finally {
    gl.deleteFramebuffer(frame);
    gl.deleteTexture(texture);
  }
}

/** @param {Uint8Array} pixels */
function isOpaque(pixels) {
  for (let place = 3; place < pixels.length; place += 4) {
    if (pixels[place] !== 255) return false;
  }
  return true;
}

/**
 * Composite RGBA pixels over white, in Pillow's whole numbers (`AlphaComposite.c`).
 *
 * @param {Uint8Array} rgba
 * @returns {Uint8Array} RGB pixels.
 */
export function overWhite(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = rgba[from + 3];
    // Shares of the colour and of white, in units of 1 / (255 * 128).
    const share = alpha * 128;
    const white = (255 * 128 - share) * 255;
    for (let channel = 0; channel < 3; channel++) {
      if (alpha === 255) {
        rgb[to + channel] = rgba[from + channel];
      } else {
        const sum = rgba[from + channel] * share + white + 128 * 128;
        rgb[to + channel] = ((sum >> 8) + sum) >> 15;
      }
    }
  }
  return rgb;
}
