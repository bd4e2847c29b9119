/**
 * Captions prepared pictures with a .tflite file in Chromium; for bench/processors.py:
 *
 *     node tests/web/say.js FILE PICTURES.npy WORDS.json FOLDER COUNT THREADS
 *
 * Takes and writes what bench/edgecap_bench/processors/say.py does; 1 thread alone.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";

import { ROOT, launch, noBrowser, serve } from "./browser.js";

const [file, pictures, words, folder, count] = process.argv.slice(2);
if (noBrowser) {
  console.error(noBrowser);
  process.exit(2);
}
const fed = JSON.parse(readFileSync(words, "utf-8")).slice(0, Number(count));
const images = readPictures(readFileSync(pictures));

const server = await serve(
  [
    { prefix: "/src/", folder: `${ROOT}/runtime/web/src` },
    { prefix: "/node_modules/", folder: `${ROOT}/runtime/web/node_modules` },
    { prefix: "/captioner/", folder: dirname(resolve(file)) },
    { prefix: "/", folder: `${ROOT}/tests/web/page` },
  ],
  { compressed: false },
);
const browser = await launch();
try {
  const page = await browser.newPage();
  await page.goto(server.address);
  await page.evaluate(load, `/captioner/${basename(file)}`);
  const said = { ids: [], log_probabilities: [], encode_ms: [], caption_ms: [] };
  const rows = [];
  let width = 0;
  for (const [index, prefix] of fed.entries()) {
    const image = images.subarray(index).toString("base64");
    const found = await page.evaluate(caption, { image, prefix });
    for (const name of Object.keys(said)) said[name].push(found[name]);
    rows.push(...found.logits.map((row) => Buffer.from(row, "base64")));
    width = rows[0].length / 4;
  }
  writeFileSync(`${folder}/logits.npy`, Buffer.concat([head(rows.length, width), ...rows]));
  writeFileSync(`${folder}/said.json`, JSON.stringify(said));
} finally {
  await browser.close();
  server.close();
}

/** In the page: open the file. */
async function load(address) {
  const { readManifest } = await import("/src/bundle.js");
  const { LiteRTBackend, startLiteRT } = await import("/src/backends/litert.js");
  const bytes = new Uint8Array(await (await fetch(address)).arrayBuffer());
  const threads = await startLiteRT({ threads: 1 });
  const manifest = await readManifest(bytes);
  const backend = await LiteRTBackend.open(address, bytes, manifest, threads);
  globalThis.opened = { manifest, backend };
}

/** In the page: caption an image, and feed words. */
async function caption({ image, prefix }) {
  const { decode } = await import("/src/decoding.js");
  const { manifest, backend } = globalThis.opened;
  const pixels = Uint8Array.from(atob(image), (letter) => letter.charCodeAt(0));
  const begun = performance.now();
  const first = await backend.encode(pixels);
  const encoded = performance.now();
  const options = manifest.decoding({ beam: 1 });
  const step = (row) => backend.step(row);
  const [found] = await decode(step, first, manifest.vocabulary, options);
  const done = performance.now();
  const logits = [];
  const fed = [manifest.vocabulary.startId];
  let state = first;
  for (const word of [...prefix, null]) {
    const answer = await backend.step({ words: [...fed], state });
    const bytes = new Uint8Array(Float32Array.from(answer.logits).buffer);
    logits.push(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")));
    state = answer.state;
    fed.push(word);
  }
  return {
    ids: found.ids,
    log_probabilities: found.logProbability,
    encode_ms: encoded - begun,
    caption_ms: done - begun,
    logits,
  };
}

/** Read NumPy's file of uint8 [images, H, W, 3]. */
function readPictures(content) {
  const start = 10 + content.readUInt16LE(8);
  const text = content.subarray(10, start).toString("latin1");
  const shape = /'descr': '\|u1'.*'shape': \(([^)]*)\)/.exec(text);
  if (shape === null) throw new Error(`${pictures} holds no uint8 array: ${text}`);
  const [, height, width, channels] = shape[1].split(",").map(Number);
  const size = height * width * channels;
  return {
    subarray: (index) => content.subarray(start + index * size, start + (index + 1) * size),
  };
}

/** NumPy's head of a file of float32 [rows, columns]. */
function head(rows, columns) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`;
  const padded = `${text.padEnd(128 - 10 - 1)}\n`;
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 0, 0]);
  start.writeUInt16LE(padded.length, 8);
  return Buffer.concat([start, Buffer.from(padded, "latin1")]);
}
