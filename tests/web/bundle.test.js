import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { manifestIn, readManifest } from "../../runtime/web/src/bundle.js";
import { BundleError, OptionError } from "../../runtime/web/src/errors.js";
import { Manifest } from "../../runtime/web/src/manifest.js";
import { GOLDEN, golden } from "./golden.js";

const { head, cases, vocabularies, joined } = golden("manifests");
const WORDS = "<pad> <start> <end> <unk> a dog 's ball runs red on grass".split(" ");
const tiny = (name) => new Uint8Array(readFileSync(new URL(`tiny-${name}.tflite`, GOLDEN)));

function manifestOf(changedHead, text) {
  const encoder = new TextEncoder();
  return new Manifest(
    new Map([
      ["edgecap.json", encoder.encode(JSON.stringify(changedHead))],
      ["vocabulary.txt", encoder.encode(text)],
    ]),
  );
}

function verdict(read, legal) {
  if (legal) return read();
  // One sentence, of the kind that says "the file".
  assert.throws(read, (error) => error instanceof BundleError && /^[^\n]+\.?$/.test(error.message));
  return undefined;
}

test("manifests are read and refused as Python does", async (t) => {
  const text = `${WORDS.join("\n")}\n`;
  for (const { change, head: changed, legal } of cases) {
    await t.test(`${change}: ${legal ? "legal" : "refused"}`, () =>
      verdict(() => manifestOf(changed, text), legal),
    );
  }
  for (const { change, text: changed, legal } of vocabularies) {
    await t.test(`${change}: ${legal ? "legal" : "refused"}`, () =>
      verdict(() => manifestOf(head, changed), legal),
    );
  }
});

test("words are joined as Python joins them", () => {
  const { vocabulary } = manifestOf(head, WORDS.join("\n"));
  for (const { words, text } of joined) assert.equal(vocabulary.join(words), text);
});

test("a file's own words are read from the ZIP at its end", async () => {
  const manifest = await readManifest(new Blob([tiny("step")]));
  assert.deepEqual(manifest.vocabulary.words, WORDS);
  assert.equal(manifest.name, "tiny");
  assert.deepEqual(manifest.preparation.height, 8);
  assert.deepEqual(manifest.state, [{ name: "h", shape: [6], dtype: "float32" }]);
  assert.equal(manifest.parity.verdict, "checked on 0");
  const { prefix } = await readManifest(tiny("fixed"));
  assert.deepEqual({ ...prefix }, { length: 8, paddingId: 0, padded: "start", skippedId: null });
});

test("a prefix is filled and skipped as Python does", async () => {
  const { prefix: fixed } = await readManifest(tiny("fixed"));
  assert.deepEqual([...fixed.ids([1, 4, 0])], [0, 0, 0, 0, 0, 1, 4, 0]);
  const { prefix: bare } = await readManifest(tiny("bare"));
  assert.deepEqual([...bare.ids([1, 0, 4, 0, 5])], [1, 4, 5]);
});

test("options are checked, and what isn't given is the file's own", async () => {
  const manifest = await readManifest(tiny("fixed"));
  assert.equal(manifest.decoding({}).maxWords, 8);
  assert.equal(manifest.decoding({ beam: 1, maxWords: undefined }).beam, 1);
  for (const choices of [
    { beam: 0 },
    { beam: 65 },
    { beam: "3" },
    { nBest: 4 },
    { maxWords: 9 },
    { minWords: 9 },
    { lengthPenalty: NaN },
    { beams: 3 },
  ]) {
    assert.throws(() => manifest.decoding(choices), OptionError, JSON.stringify(choices));
  }
});

test("files that are no captioner are refused with one sentence", async () => {
  const file = tiny("step");
  const cut = file.subarray(0, file.length - 30);
  const damaged = file.slice();
  const place = Buffer.from(file).indexOf("vocabulary.txt") + 20;
  damaged[place] ^= 0xff;
  for (const [bytes, reason] of [
    [new Uint8Array(), /x\.tflite is empty \(0 bytes\)/],
    [new TextEncoder().encode("<!doctype html> not found"), /x\.tflite is no \.tflite model/],
    [cut, /without edgecap's entries, or is truncated/],
    [damaged, /without edgecap's entries, or is truncated/],
  ]) {
    await assert.rejects(manifestIn("x.tflite", bytes), (error) => {
      assert.ok(error instanceof BundleError);
      assert.match(error.message, reason);
      return true;
    });
  }
});

test("every cut of a file is refused", async () => {
  const file = tiny("step");
  for (let length = 0; length < file.length; length += 61) {
    await assert.rejects(manifestIn("x", file.subarray(0, length)), BundleError);
  }
});
