/** The library in a real browser, against what Python says. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { ISOLATED, launch, noBrowser, noModels, serveLibrary } from "./browser.js";
import { golden } from "./golden.js";

/**
 * Pictures that a browser decodes in a way of its own, with the largest and the mean difference
 * allowed: 16-bit grey loses its low byte where Python rounds; a JPEG far larger than needed is
 * decoded whole where Python reduces it (the format's bounds, at hard edges).
 */
const DIFFERENT = new Map([
  ["sixteen-bit.png", { most: 1, mean: 0.5 }],
  ["reduced.jpg", { most: 10, mean: 0.5 }],
]);

describe("in Chromium", { skip: noBrowser }, () => {
  /** @type {import("playwright-core").Browser} */
  let browser;
  /** @type {Awaited<ReturnType<typeof serveLibrary>>} */
  let server;
  /** @type {import("playwright-core").Page} */
  let page;

  before(async () => {
    browser = await launch();
    server = await serveLibrary();
    page = await blankPage(browser, server.address);
  });

  after(async () => {
    await browser?.close();
    server?.close();
  });

  test("photographs are prepared as by Pillow, to the last bit", async () => {
    const { cases } = golden("samples");
    assert.equal(cases.length, 14 * 6);
    const hashes = await page.evaluate(async (items) => {
      const { Preparation, prepare } = await import("edgecap-web");
      const found = [];
      for (const { photo, preparation } of items) {
        const pixels = await prepare(`/samples/${photo}`, new Preparation(preparation));
        found.push(await globalThis.sha256(pixels));
      }
      return found;
    }, cases);
    for (const [place, { photo, preparation, sha256 }] of cases.entries()) {
      assert.equal(hashes[place], sha256, `${photo} ${JSON.stringify(preparation)}`);
    }
  });

  test("orientation, transparency, profiles and kinds of files follow the format's rules", async (t) => {
    const { cases, preparation } = golden("pictures");
    for (const { file, pixels } of cases) {
      await t.test(file, async () => {
        const found = await page.evaluate(
          async ([name, parts]) => {
            const { Preparation, prepare } = await import("edgecap-web");
            return [...(await prepare(`/golden/pictures/${name}`, new Preparation(parts)))];
          },
          [file, preparation],
        );
        const wanted = Buffer.from(pixels, "base64");
        const differences = found.map((value, place) => Math.abs(value - wanted[place]));
        const largest = Math.max(...differences);
        const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
        const { most, mean: meanAllowed } = DIFFERENT.get(file) ?? { most: 0, mean: 0 };
        if (most) t.diagnostic(`${file}: differs by ${largest}, ${mean.toFixed(3)} on average`);
        assert.ok(largest <= most, `${file} differs by ${largest}`);
        assert.ok(mean <= meanAllowed, `${file} differs by ${mean} on average`);
      });
    }
  });

  test("a tiny step, a prefix of fixed length and one of any length say what Python says", async () => {
    const { width, height, cases } = golden("tiny");
    const found = await page.evaluate(
      async ([items, wide, high]) => {
        const { Captioner, prepare } = await import("edgecap-web");
        const answers = [];
        for (const { file, first, captions } of items) {
          const captioner = await Captioner.load(`/golden/${file}`);
          const image = globalThis.tinyImage(wide, high, first);
          const hash = await globalThis.sha256(await prepare(image, captioner.manifest.preparation));
          const said = [];
          for (const { options } of captions) said.push(await captioner.caption(image, options));
          captioner.close();
          answers.push({ hash, said });
        }
        return answers;
      },
      [cases, width, height],
    );
    for (const [place, item] of cases.entries()) {
      assert.equal(found[place].hash, item.sha256);
      assertSaid(found[place].said, item.captions, 1e-5, `${item.file} ${item.first}`);
    }
    // A captioner that says the same of every picture would prove little.
    const texts = new Set(cases.map(({ captions }) => captions[0].found[0].text));
    assert.ok(texts.size > 4, `only ${texts.size} captions`);
  });

  test("a file of another version is refused", async () => {
    const message = await page.evaluate(async () => {
      const { Captioner } = await import("edgecap-web");
      const file = new Uint8Array(await (await fetch("/golden/tiny-step.tflite")).arrayBuffer());
      const changed = await globalThis.withManifest(file, { format_version: "2.0" });
      return Captioner.load(new File([changed], "new.tflite")).catch((error) => error.message);
    });
    assert.match(message, /^new\.tflite: The file has format version 2\.0, and this edgecap-web/);
  });

  test("what can't be used is refused with one sentence", async () => {
    const found = await page.evaluate(async () => {
      const { Captioner, prepare } = await import("edgecap-web");
      const captioner = await Captioner.load("/golden/tiny-step.tflite");
      const file = new Uint8Array(await (await fetch("/golden/tiny-step.tflite")).arrayBuffer());
      const broken = file.slice();
      broken.fill(0xff, 8, 1500);
      const damaged = broken.slice();
      globalThis.checksummed(broken);
      const wrong = await globalThis.withManifest(file, { kind: "prefix", prefix: {
        length: null, padding_id: 0, padded: "end", skipped_id: null } });
      const larger = await globalThis.withManifest(file, { state: [
        { name: "h", shape: [7], dtype: "float32" }] });
      const closed = await Captioner.load(new Blob([file]));
      closed.close();
      const attempts = {
        missingFile: () => Captioner.load("/nowhere.tflite"),
        page: () => Captioner.load("/index.html"),
        empty: () => Captioner.load(new File([], "empty.tflite")),
        cut: () => Captioner.load(new File([file.subarray(0, 3000)], "cut.tflite")),
        damaged: () => Captioner.load(new File([damaged], "damaged.tflite")),
        broken: () => Captioner.load(new File([broken], "broken.tflite")),
        signature: () => Captioner.load(new File([wrong], "wrong.tflite")),
        shape: () => Captioner.load(new File([larger], "larger.tflite")),
        number: () => Captioner.load(/** @type {any} */ (7)),
        threads: () => Captioner.load("/golden/tiny-step.tflite", { threads: 2 }),
        noThreads: () => Captioner.load("/golden/tiny-step.tflite", { threads: 0 }),
        missingPhoto: () => captioner.caption("/nowhere.jpg"),
        emptyPhoto: () => captioner.caption(new File([], "empty.jpg")),
        noPhoto: () => captioner.caption(new File(["words"], "words.jpg")),
        nothing: () => captioner.caption(/** @type {any} */ (null)),
        unloaded: () => captioner.caption(new Image()),
        option: () => captioner.caption("/samples/horses.jpg", { beam: 65 }),
        closed: () => closed.caption(globalThis.tinyImage(8, 8, 1)),
      };
      const answers = {};
      for (const [name, attempt] of Object.entries(attempts)) {
        try {
          await attempt();
          answers[name] = "nothing was thrown";
        } catch (error) {
          answers[name] = `${error.name}: ${error.message}`;
        }
      }
      // After all of these it still works.
      answers.still = (await captioner.caption(globalThis.tinyImage(8, 8, 1))).words.length;
      captioner.close();
      return answers;
    });
    assert.ok(found.still > 0);
    const wanted = {
      missingFile: /^BundleError: Unable to get \/nowhere\.tflite \(404/,
      page: /^BundleError: index\.html is no \.tflite model/,
      empty: /^BundleError: empty\.tflite is empty \(0 bytes\)/,
      cut: /^BundleError: cut\.tflite .* is truncated/,
      damaged: /^BundleError: damaged\.tflite is damaged: its checksum is not that of its bytes/,
      broken: /^BundleError: broken\.tflite does not load in LiteRT\.js/,
      signature: /^BundleError: wrong\.tflite has no signature 'prefix' \(it has /,
      shape: /^BundleError: larger\.tflite: its signature encode gives state_h as float32 \[1, 6\] /,
      number: /^BundleError: A captioner's file can't be a Number/,
      threads: /^OptionError: threads is 2, but this page has 1: .* cross-origin isolation/,
      noThreads: /^OptionError: threads is 0; give a whole number of at least 1/,
      missingPhoto: /^ImageError: Unable to get \/nowhere\.jpg \(404\)/,
      emptyPhoto: /^ImageError: empty\.jpg is empty \(0 bytes\)/,
      noPhoto: /^ImageError: words\.jpg is broken or no image/,
      nothing: /^ImageError: A photograph can't be null/,
      unloaded: /^ImageError: The HTMLImageElement has no pixels/,
      option: /^OptionError: beam is 65; give a whole number from 1 to 64/,
      closed: /^EdgecapError: This Captioner is closed/,
    };
    for (const [name, pattern] of Object.entries(wanted)) assert.match(found[name], pattern);
  });

  test("LiteRT.js that isn't where it is looked for is one sentence", async () => {
    const other = await blankPage(browser, server.address);
    const message = await other.evaluate(async () => {
      const { Captioner } = await import("edgecap-web");
      const load = Captioner.load("/golden/tiny-step.tflite", { wasm: "/nowhere/" });
      return load.catch((error) => `${error.name}: ${error.message}`);
    });
    assert.match(message, /^InterpreterError: LiteRT\.js does not load from \/nowhere\/; serve/);
    // A second try with the right address works.
    const words = await other.evaluate(async () => {
      const { Captioner } = await import("edgecap-web");
      const captioner = await Captioner.load("/golden/tiny-step.tflite");
      return (await captioner.caption(globalThis.tinyImage(8, 8, 1))).words.length;
    });
    assert.ok(words > 0);
    await other.close();
  });

  describe("captioners in the box", () => {
    const missing = noBrowser || noModels();

    for (const name of [
      "mobilenet-lstm-static-int8",
      "mobilenet-lstm-dynamic-int8",
      "mobilenet-attention-static-int8",
    ]) {
      test(`${name} says Python's words of 112 pictures`, { skip: missing }, async (t) => {
        const { readFileSync } = await import("node:fs");
        const { BUILD } = await import("./browser.js");
        const { file, cases } = JSON.parse(
          readFileSync(`${BUILD}/${name}.json`, "utf8"),
        );
        assert.equal(cases.length, 112);
        const { answers: found, passed, sentence } = await page.evaluate(
          async ([address, items]) => {
            const { Captioner, prepare } = await import("edgecap-web");
            const captioner = await Captioner.load(`/build/${address}`);
            const answers = [];
            for (const { photo, captions } of items) {
              const place = `/build/photos/${photo}`;
              const pixels = await prepare(place, captioner.manifest.preparation);
              const said = [];
              for (const { options } of captions) {
                said.push(await captioner.caption(place, options));
              }
              answers.push({ hash: await globalThis.sha256(pixels), said });
            }
            const { passed, sentence } = await captioner.check();
            captioner.close();
            return { answers, passed, sentence };
          },
          [file, cases],
        );
        t.diagnostic(sentence);
        assert.equal(passed, true, sentence);
        let largest = 0;
        let same = 0;
        for (const [place, { photo, sha256, captions }] of cases.entries()) {
          assert.equal(found[place].hash, sha256, photo);
          for (const [search, { found: wanted }] of captions.entries()) {
            const [best] = wanted;
            const caption = found[place].said[search];
            same += Number(caption.text === best.text);
            if (caption.text === best.text) {
              largest = Math.max(
                largest,
                Math.abs(caption.logProbability - best.log_probability),
              );
            } else {
              t.diagnostic(`${photo}: '${caption.text}', Python '${best.text}'`);
            }
          }
        }
        t.diagnostic(`${same} of 224 captions equal, log probabilities within ${largest}`);
        assert.equal(same, 224);
        assert.ok(largest < 0.02, `log probabilities differ by ${largest}`);
      });
    }

    for (const name of ["bidirectional", "padded"]) {
      test(`an exported decoder of prefixes says Python's words: ${name}`, { skip: missing }, async () => {
        const { readFileSync } = await import("node:fs");
        const { BUILD } = await import("./browser.js");
        for (const recipe of ["float32", "dynamic-int8"]) {
          const text = readFileSync(`${BUILD}/${name}-${recipe}.json`, "utf8");
          const { file, cases } = JSON.parse(text);
          const found = await page.evaluate(
            async ([address, items]) => {
              const { Captioner } = await import("edgecap-web");
              const captioner = await Captioner.load(`/build/${address}`);
              const answers = [];
              for (const { photo, captions } of items) {
                const said = [];
                for (const { options } of captions) {
                  said.push(await captioner.caption(`/build/photos/${photo}`, options));
                }
                answers.push(said);
              }
              captioner.close();
              return answers;
            },
            [file, cases],
          );
          for (const [place, { photo, captions }] of cases.entries()) {
            if (recipe === "float32") {
              assertSaid(found[place], captions, 1e-3, `${file} ${photo}`);
              continue;
            }
            // The lower ranks of an int8 decoder lie closer together than two processors agree.
            for (const [search, { options, found: wanted }] of captions.entries()) {
              const context = `${file} ${photo} ${JSON.stringify(options)}`;
              const [best] = wanted;
              const { text, logProbability } = found[place][search];
              assert.equal(text, best.text, context);
              assert.ok(Math.abs(logProbability - best.log_probability) < 0.1, context);
            }
          }
        }
      });
    }

    test("a stream gives greedy search's words, then the whole caption", { skip: missing }, async () => {
      const found = await page.evaluate(async () => {
        const { Captioner } = await import("edgecap-web");
        /** @type {number[]} */
        const progress = [];
        const captioner = await Captioner.load("/build/mobilenet-lstm-static-int8.tflite", {
          progress: (loaded, total) => progress.push(loaded / total),
        });
        const response = await fetch("/samples/horses.jpg");
        const photo = new File([await response.blob()], "horses.jpg");
        const stream = captioner.stream(photo);
        const words = [];
        for await (const word of stream) words.push(word);
        const whole = await captioner.caption(photo, { beam: 1 });
        const stopped = captioner.stream(photo);
        for await (const word of stopped) if (word) break;
        const again = await captioner.caption(photo, { beam: 1 });
        captioner.close();
        return { words, caption: stream.caption, whole, progress, stopped: stopped.caption, again };
      });
      assert.deepEqual(found.words, found.whole.words);
      assert.equal(found.caption.text, found.whole.text);
      assert.equal(found.again.text, found.whole.text);
      assert.equal(found.stopped, null);
      const { timings } = found.caption;
      assert.equal(timings.steps, found.words.length + 1);
      assert.ok(timings.prepare > 0 && timings.encode > 0 && timings.decode > 0);
      assert.equal(found.progress.at(-1), 1);
    });

    test("bytes, elements and bitmaps give the same caption", { skip: missing }, async () => {
      const texts = await page.evaluate(async () => {
        const { Captioner } = await import("edgecap-web");
        const captioner = await Captioner.load("/build/mobilenet-lstm-static-int8.tflite");
        const blob = await (await fetch("/samples/football.jpg")).blob();
        const image = new Image();
        image.src = "/samples/football.jpg";
        await image.decode();
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.width, image.height];
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        const buffer = await blob.arrayBuffer();
        const photos = [
          "/samples/football.jpg",
          new URL("/samples/football.jpg", location.href),
          blob,
          buffer,
          new Uint8Array(buffer),
          image,
          canvas,
          await createImageBitmap(blob),
          context.getImageData(0, 0, canvas.width, canvas.height),
        ];
        const found = [];
        for (const photo of photos) found.push((await captioner.caption(photo)).text);
        captioner.close();
        return found;
      });
      assert.equal(texts.length, 9);
      assert.equal(new Set(texts).size, 1, texts.join("\n"));
    });

    test("memory is flat over 200 captions", { skip: missing }, async (t) => {
      const session = await page.context().newCDPSession(page);
      const scripts = async () => {
        await session.send("HeapProfiler.collectGarbage");
        return (await session.send("Runtime.getHeapUsage")).usedSize;
      };
      const captions = (count) =>
        page.evaluate(async (times) => {
          const { Captioner, memoryBytes } = await import("edgecap-web");
          globalThis.kept ??= await Captioner.load("/build/mobilenet-lstm-static-int8.tflite");
          const photo = await (await fetch("/samples/orchestra.jpg")).blob();
          let words = 0;
          for (let turn = 0; turn < times; turn++) {
            words += (await globalThis.kept.caption(photo, { beam: turn % 2 ? 3 : 1 })).words.length;
          }
          return { words, bytes: memoryBytes() };
        }, count);
      const first = await captions(10);
      const scriptsBefore = await scripts();
      const later = await captions(200);
      const scriptsAfter = await scripts();
      const grown = later.bytes - first.bytes;
      t.diagnostic(`WebAssembly grew by ${grown} of ${first.bytes}, scripts from ${scriptsBefore} to ${scriptsAfter}`);
      // One logits tensor left behind at each step would be 40 MB.
      assert.equal(grown, 0);
      assert.ok(scriptsAfter < scriptsBefore + 2e6);
      // And captioners that were closed give their memory back: seven more would not fit.
      const reopened = await page.evaluate(async () => {
        const { Captioner, memoryBytes } = await import("edgecap-web");
        globalThis.kept.close();
        const bytes = new Uint8Array(
          await (await fetch("/build/mobilenet-lstm-static-int8.tflite")).arrayBuffer(),
        );
        const sizes = [];
        for (let turn = 0; turn < 8; turn++) {
          const captioner = await Captioner.load(bytes);
          await captioner.caption("/samples/orchestra.jpg");
          captioner.close();
          sizes.push(memoryBytes());
        }
        return sizes;
      });
      assert.equal(reopened.at(-1), reopened[1], `memory grew: ${reopened}`);
    });

    test("threads run on an isolated page, and say the same", { skip: missing }, async () => {
      const isolated = await serveLibrary(ISOLATED);
      const other = await blankPage(browser, isolated.address);
      const found = await other.evaluate(async () => {
        const { Captioner } = await import("edgecap-web");
        const said = [];
        for (const threads of [2, 1]) {
          const captioner = await Captioner.load("/build/mobilenet-lstm-static-int8.tflite", {
            threads,
          });
          said.push([captioner.threads, (await captioner.caption("/samples/horses.jpg")).text]);
          captioner.close();
        }
        return { isolated: globalThis.crossOriginIsolated, said };
      });
      await other.close();
      isolated.close();
      assert.equal(found.isolated, true);
      assert.deepEqual(found.said.map(([threads]) => threads), [2, 1]);
      assert.equal(found.said[0][1], found.said[1][1]);
    });
  });
});

function assertSaid(said, captions, bound, context) {
  for (const [search, { options, found }] of captions.entries()) {
    const { text, ids, logProbability, score, alternatives } = said[search];
    const answers = [{ text, ids, logProbability, score }, ...alternatives];
    const where = `${context} ${JSON.stringify(options)}`;
    assert.deepEqual(answers.map((item) => item.text), found.map((item) => item.text), where);
    for (const [rank, item] of answers.entries()) {
      assert.deepEqual(item.ids, found[rank].ids, where);
      assert.ok(Math.abs(item.logProbability - found[rank].log_probability) < bound, where);
      assert.ok(Math.abs(item.score - found[rank].score) < bound, where);
    }
  }
}

/** A page with the library and what the tests need beside it. */
async function blankPage(browser, address) {
  const page = await browser.newPage();
  await page.goto(address);
  await page.addScriptTag({ url: "/tools.js" });
  return page;
}
