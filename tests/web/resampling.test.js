import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { overWhite } from "../../runtime/web/src/photos.js";
import { fitted } from "../../runtime/web/src/preparation.js";
import { golden, noise, preparationOf } from "./golden.js";

/** @param {number} channels 3, or 4 with transparency. */
function strips(width, height, channels) {
  const pixels = noise(width, height, channels);
  const stride = width * channels;
  return {
    width,
    height,
    async read(top, rows) {
      const strip = pixels.subarray(top * stride, (top + rows) * stride);
      return channels === 4 ? overWhite(strip) : strip;
    },
  };
}

test("pictures are resized and cut as by Pillow, to the last bit", async (t) => {
  const { cases } = golden("resampling");
  assert.ok(cases.length > 100);
  for (const { width, height, channels, preparation, sha256 } of cases) {
    const { fit, resampling } = preparation;
    const name = `${width}x${height} to ${preparation.width}x${preparation.height}`;
    await t.test(`${name} ${fit} ${resampling} ${channels}`, async () => {
      const pixels = await fitted(strips(width, height, channels), preparationOf(preparation));
      assert.equal(createHash("sha256").update(pixels).digest("hex"), sha256);
    });
  }
});

test("a picture read in many strips is the same as in one", async () => {
  const whole = strips(3000, 1000, 3);
  /** @type {number[]} */
  const asked = [];
  const read = (top, rows) => {
    asked.push(rows);
    return whole.read(top, rows);
  };
  for (const resampling of ["bilinear", "nearest"]) {
    const preparation = preparationOf({ height: 100, width: 100, resampling });
    const cut = await fitted({ ...whole, read }, preparation);
    assert.ok(asked.length > 2 && Math.max(...asked) < 400, "it was not read in strips");
    const tall = { width: 1000, height: 3000, read: transposed(whole) };
    const turned = await fitted(tall, preparation);
    // 3000 wide is 3 strips, 1000 wide is 3 others: the same picture, turned.
    for (let y = 0; y < 100; y += 7) {
      for (let x = 0; x < 100; x++) {
        assert.ok(Math.abs(cut[(y * 100 + x) * 3] - turned[(x * 100 + y) * 3]) <= 1);
      }
    }
  }
});

function transposed({ width, height, read }) {
  return async (top, rows) => {
    const pixels = await read(0, height);
    const out = new Uint8Array(rows * height * 3);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < height; x++) {
        const from = (x * width + top + y) * 3;
        out.set(pixels.subarray(from, from + 3), (y * height + x) * 3);
      }
    }
    return out;
  };
}
