/**
 * Captions prepared photographs on Node:
 *
 *     node caption.js captioner.onnx [--steps] < photo.rgb
 *
 * photo.rgb: the prepared photograph, height x width x 3 bytes; several may follow each other.
 * Prints one caption a line, as JSON. --steps: word by word, where the file holds a search too.
 */

import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";

import ort from "onnxruntime-node";

import { OnnxCaptioner } from "./captioner.js";

const [path, ...flags] = process.argv.slice(2);
if (path === undefined || flags.some((flag) => flag !== "--steps")) {
  console.error("use: node caption.js CAPTIONER.onnx [--steps] < PHOTO.rgb");
  process.exit(2);
}
try {
  const captioner = await OnnxCaptioner.load(ort, readFileSync(path), { intraOpNumThreads: 1 });
  const { one_call, preparation } = captioner.about;
  const inOneCall = one_call && flags.length === 0;
  const size = preparation.height * preparation.width * 3;
  const pixels = await buffer(process.stdin);
  for (let place = 0; place < pixels.length; place += size) {
    const photograph = pixels.subarray(place, place + size);
    const caption = inOneCall
      ? await captioner.captionInOneCall(photograph)
      : await captioner.caption(photograph);
    console.log(JSON.stringify(caption));
  }
  await captioner.release();
} catch (error) {
  console.error(`error: ${/** @type {Error} */ (error).message}`);
  process.exit(2);
}
