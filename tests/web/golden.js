/** The golden files, which the Python runtime wrote, and the noise that their pictures are. */

import { readFileSync } from "node:fs";

import { Preparation } from "../../runtime/web/src/preparation.js";

export const GOLDEN = new URL("golden/", import.meta.url);

/** @param {string} name */
export function golden(name) {
  return JSON.parse(readFileSync(new URL(`${name}.json`, GOLDEN), "utf8"));
}

/** Give the pixels of `noise` in make_golden.py. */
export function noise(width, height, channels, first = 0) {
  const places = { length: width * height * channels };
  return Uint8Array.from(places, (_, place) => Math.imul(place + first, 0x9e3779b1) >>> 24);
}

/** Give a preparation by the names that the file has for its parts, which are JavaScript's too. */
export function preparationOf(parts) {
  return new Preparation(parts);
}
