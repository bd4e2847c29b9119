import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, greedy, likeliest, logNormalizer } from "../../runtime/web/src/decoding.js";
import { BundleError } from "../../runtime/web/src/errors.js";
import { DecodingOptions } from "../../runtime/web/src/options.js";
import { Vocabulary } from "../../runtime/web/src/vocabulary.js";
import { golden } from "./golden.js";

const { cases } = golden("decoding");

function vocabularyOf({ words, start_id, end_id, never_said }) {
  return new Vocabulary({
    words: Array.from({ length: words }, (_, place) => `w${place}`),
    startId: start_id,
    endId: end_id,
    paddingId: null,
    unknownId: null,
    neverSaid: never_said,
    attachLeft: [],
  });
}

/** The random Markov model of a case; the state counts the steps. */
function stepOf({ logits }) {
  return async ({ words, state }) => ({
    logits: Float32Array.from(logits[state.t[0] % logits.length][words[words.length - 1]]),
    state: { t: Float32Array.of(state.t[0] + 1) },
  });
}

const FIRST = { t: Float32Array.of(0) };

test("searches find what Python's find", async (t) => {
  for (const [place, item] of cases.entries()) {
    await t.test(`model ${place}, ${item.searches.length} searches`, async () => {
      for (const { options, found } of item.searches) {
        const hypotheses = await decode(
          stepOf(item),
          FIRST,
          vocabularyOf(item),
          new DecodingOptions(options),
        );
        const context = JSON.stringify(options);
        assert.deepEqual(
          hypotheses.map(({ ids, ended }) => [ids, ended]),
          found.map(([ids, , , ended]) => [ids, ended]),
          context,
        );
        for (const [rank, { logProbability, score }] of hypotheses.entries()) {
          assert.ok(Math.abs(logProbability - found[rank][1]) < 1e-5, context);
          assert.ok(Math.abs(score - found[rank][2]) < 1e-5, context);
        }
      }
    });
  }
});

test("greedy search yields the words that it returns", async () => {
  for (const item of cases) {
    for (const { options, found } of item.searches) {
      if (options.beam > 1) continue;
      const search = greedy(stepOf(item), FIRST, vocabularyOf(item), new DecodingOptions(options));
      const words = [];
      for await (const id of search) words.push(id);
      assert.deepEqual(words, found[0][0]);
    }
  }
});

test("the likeliest are those of a stable sort", () => {
  const logits = Float32Array.of(1, 3, 3, -Infinity, 2, 3, -Infinity, 0);
  assert.deepEqual(likeliest(logits, 1), [1]);
  assert.deepEqual(likeliest(logits, 4), [1, 2, 5, 4]);
  assert.deepEqual(likeliest(logits, 8), [1, 2, 5, 4, 0, 7, 3, 6]);
  assert.deepEqual(likeliest(logits, 99), likeliest(logits, 8));
});

test("answers that are not finite, or of another size, are refused", async () => {
  for (const bad of [NaN, Infinity]) {
    assert.throws(() => logNormalizer(Float32Array.of(1, bad, 2)), BundleError);
  }
  assert.throws(() => logNormalizer(new Float32Array(3).fill(-Infinity)), BundleError);
  const [item] = cases;
  const short = async ({ state }) => ({ logits: new Float32Array(2), state });
  await assert.rejects(
    decode(short, FIRST, vocabularyOf(item), new DecodingOptions(item.searches[0].options)),
    /answers 2 numbers where/,
  );
});
