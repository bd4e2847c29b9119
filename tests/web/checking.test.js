import assert from "node:assert/strict";
import { test } from "node:test";

import { SIDE, enlarged, pixelsOf } from "../../runtime/web/src/check_entry.js";
import { short } from "../../runtime/web/src/checking.js";
import { Captioner } from "../../runtime/web/src/captioner.js";
import { BundleError } from "../../runtime/web/src/errors.js";
import { Manifest } from "../../runtime/web/src/manifest.js";
import { golden } from "./golden.js";

const { models, entries } = golden("checks");
const { head } = golden("manifests");
const WORDS = "<pad> <start> <end> <unk> a dog 's ball runs red on grass".split(" ");

/** @param {object} [check] */
function manifestOf(check) {
  const encoder = new TextEncoder();
  const parts = new Map([
    ["edgecap.json", encoder.encode(JSON.stringify(head))],
    ["vocabulary.txt", encoder.encode(`${WORDS.join("\n")}\n`)],
  ]);
  if (check !== undefined) parts.set("check.json", encoder.encode(JSON.stringify(check)));
  return new Manifest(parts);
}

/** `Pictured` in make_golden.py: a picture's pixels choose one of several Markov models. */
function pictured(logits) {
  return {
    async encode(image) {
      let sum = 0;
      for (const [place, value] of image.entries()) sum += value * ((place % 251) + 1);
      return { h: Float32Array.of(sum % logits.length) };
    },
    async step({ words, state }) {
      const row = logits[state.h[0]][words[words.length - 1]];
      return { logits: Float32Array.from(row, (value) => value ?? NaN), state };
    },
    close() {},
  };
}

const near = (found, wanted) =>
  wanted === null ? Number.isNaN(found) : Math.abs(found - wanted) < 1e-5;

test("a check is measured and judged as Python does", async (t) => {
  for (const [place, { check, answers }] of models.entries()) {
    for (const { name, tolerance, logits, result } of answers) {
      await t.test(`${name}, model ${place}`, async () => {
        const captioner = new Captioner(manifestOf({ ...check, tolerance }), pictured(logits));
        const found = await captioner.check();
        assert.equal(found.checked, true);
        assert.equal(found.passed, result.passed);
        assert.equal(found.tolerance, tolerance);
        assert.ok(near(found.largest, result.largest), `${found.largest} ${result.largest}`);
        const rounded = found.largest < 1e-4;
        const said = rounded ? found.sentence.replace(/within \S+/, "within ...") : found.sentence;
        assert.equal(said, result.sentence);
        assert.equal(found.exportedOn.interpreter, check.machine.interpreter);
        for (const [at, picture] of result.pictures.entries()) {
          const { faults, largest, ...plain } = found.pictures[at];
          const { faults: wanted, largest: most, ...same } = picture;
          assert.deepEqual(plain, same);
          assert.ok(near(largest, most), `${largest} ${most}`);
          assert.equal(faults.length, wanted.length);
          // What a number that is not finite is called differs.
          if (most !== null) assert.deepEqual(faults, wanted);
          else assert.match(faults[0], /not finite/);
        }
      });
    }
  }
});

test("entries are read and refused as Python does", async (t) => {
  for (const { change, check, legal } of entries) {
    await t.test(`${change}: ${legal ? "legal" : "refused"}`, () => {
      if (legal) {
        assert.notEqual(manifestOf(check).check, null);
        return;
      }
      assert.throws(
        () => manifestOf(check),
        (error) => error instanceof BundleError && /^[^\n]*check\.json[^\n]*$/.test(error.message),
      );
    });
  }
});

test("an older file says that it carries nothing", async () => {
  const captioner = new Captioner(manifestOf(), pictured(models[0].answers[0].logits));
  const found = await captioner.check();
  assert.equal(found.checked, false);
  assert.equal(found.passed, null);
  assert.match(found.sentence, /carries nothing to check itself by/);
});

test("a damaged picture is one sentence", async () => {
  const [picture] = manifestOf(models[0].check).check.pictures;
  assert.equal((await pixelsOf(picture)).length, SIDE * SIDE * 3);
  const whole = Buffer.from(picture.rgb, "base64");
  const deflated = async (length) => {
    const stream = new Blob([new Uint8Array(length)]).stream();
    const packed = stream.pipeThrough(new CompressionStream("deflate-raw"));
    return Buffer.from(await new Response(packed).arrayBuffer()).toString("base64");
  };
  const damaged = [
    "",
    "!".repeat(40),
    whole.subarray(0, -8).toString("base64"),
    await deflated(SIDE * SIDE * 3 - 1),
    await deflated(SIDE * SIDE * 3 + 1),
    await deflated(10_000_000),
    "犬",
  ];
  for (const rgb of damaged) {
    await assert.rejects(
      pixelsOf({ ...picture, rgb }),
      /^BundleError: The picture 'picture 0' in check\.json is damaged; copy the file again/,
    );
  }
});

test("a picture is enlarged by whole numbers alone", () => {
  const pixels = new Uint8Array(SIDE * SIDE * 3).map((_, place) =>
    place % 3 === 0 ? Math.floor(place / 3 / SIDE) : place % 3 === 1 ? Math.floor(place / 3) % SIDE : 7,
  );
  for (const [height, width] of [[224, 224], [299, 100], [1, 1], [64, 64], [63, 65]]) {
    const image = enlarged(pixels, height, width);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const at = (row * width + column) * 3;
        assert.deepEqual(
          [...image.subarray(at, at + 3)],
          [Math.floor((row * 64) / height), Math.floor((column * 64) / width), 7],
        );
      }
    }
  }
});

test("numbers are written as Python writes them", () => {
  const written = { 0: "0", 0.3: "0.3", 0.0123: "0.012", 1.25e-7: "1.2e-07", 99.4: "99", 1000: "1e+03", 0.00012: "0.00012", 4.96e-5: "5e-05" };
  for (const [value, text] of Object.entries(written)) assert.equal(short(Number(value)), text);
});
