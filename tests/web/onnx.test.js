/** The page's example for .onnx files: onnxruntime-web in a real browser, against what Python says. */

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, before, describe, test } from "node:test";

import { BUILD, ISOLATED, ROOT, launch, noBrowser, noModels, serve } from "./browser.js";

const MODELS = `${BUILD}/onnx`;
const SAMPLE = `${ROOT}/runtime/embedding/js`;
const PACKAGE = `${SAMPLE}/node_modules/onnxruntime-web`;

/**
 * Captions may part where two words are as good as equal: int8 is computed in another way here. In
 * logits; the best word mostly leads by some units.
 */
const CLOSE = 0.1;

const missing =
  noBrowser ||
  (!existsSync(PACKAGE) &&
    "needs onnxruntime-web: cd runtime/embedding/js && npm ci --ignore-scripts") ||
  noModels("--onnx", MODELS);

/** The HTML example of docs/web.md's section on ONNX. */
function example() {
  const page = readFileSync(`${ROOT}/docs/web.md`, "utf8");
  const section = page.slice(page.indexOf("\n## ONNX files"));
  const found = /```html\n(.*?)```/s.exec(section);
  assert.ok(found !== null, "docs/web.md has no example under 'ONNX files'");
  return `<!doctype html><meta charset="utf-8" /><link rel="icon" href="data:," />${found[1]}`;
}

describe("an .onnx file in Chromium", { skip: missing }, () => {
  /** @type {import("playwright-core").Browser} */
  let browser;
  /** @type {string} */
  let folder;
  /** @type {Awaited<ReturnType<typeof serve>>[]} */
  const servers = [];

  before(async () => {
    browser = await launch();
    folder = mkdtempSync(`${tmpdir()}/edgecap-onnx-`);
    writeFileSync(`${folder}/index.html`, example());
    cpSync(`${MODELS}/captioner.onnx`, `${folder}/captioner.onnx`);
    cpSync(`${SAMPLE}/captioner.js`, `${folder}/captioner.js`);
    cpSync(`${ROOT}/edgecap/samples/horses.jpg`, `${folder}/photo.jpg`);
  });

  after(async () => {
    await browser?.close();
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(headers = {}, seen = (_path) => {}) {
    const folders = [
      { prefix: "/node_modules/edgecap-web/", folder: `${ROOT}/runtime/web` },
      { prefix: "/node_modules/onnxruntime-web/", folder: PACKAGE },
      { prefix: "/samples/", folder: `${ROOT}/edgecap/samples` },
      { prefix: "/", folder },
    ];
    const server = await serve(folders, { compressed: false, headers, seen });
    servers.push(server);
    const page = await browser.newPage();
    await page.goto(server.address);
    return page;
  }

  const cases = missing ? [] : JSON.parse(readFileSync(`${MODELS}/captioner.json`, "utf8")).cases;

  test("the example on the page says Python's words", async () => {
    /** @type {string[]} */
    const asked = [];
    const page = await open({}, (path) => asked.push(path));
    const place = page.locator("#caption:not(:empty)");
    const { text } = cases.find(({ photo }) => photo === "horses.jpg");
    assert.equal(await place.textContent(), text);
    // One variant of the WebAssembly is fetched, and nothing of LiteRT.js.
    assert.equal(asked.filter((path) => path.endsWith(".wasm")).length, 1, asked.join("\n"));
    await page.close();
  });

  for (const [name, headers] of [["one thread", {}], ["threads", ISOLATED]]) {
    test(`in one call and step by step, with ${name}: Python's words`, async (t) => {
      assert.ok(new Set(cases.map(({ ids }) => String(ids))).size > 8);
      const page = await open(headers);
      const found = await page.evaluate(async (photos) => {
        const { OnnxCaptioner } = await import("/captioner.js");
        const web = "/node_modules/edgecap-web/src/preparation.js";
        const { Preparation, prepare } = await import(web);
        const ort = await import("/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs");
        const bytes = new Uint8Array(await (await fetch("/captioner.onnx")).arrayBuffer());
        const captioner = await OnnxCaptioner.load(ort, bytes);
        const answers = [];
        for (const photo of photos) {
          const pixels = await prepare(
            `/samples/${photo}`,
            new Preparation(captioner.about.preparation),
          );
          const begun = performance.now();
          const whole = await captioner.captionInOneCall(pixels);
          const middle = performance.now();
          const stepped = await captioner.caption(pixels);
          const times = [middle - begun, performance.now() - middle];
          answers.push({ whole: whole.ids, stepped: stepped.ids, times });
        }
        await captioner.release();
        return { answers, isolated: crossOriginIsolated };
      }, cases.map(({ photo }) => photo));
      assert.equal(found.isolated, name === "threads");
      const median = (place) =>
        found.answers.map(({ times }) => times[place]).sort((one, other) => one - other)[7];
      t.diagnostic(
        `${name}: ${median(0).toFixed(1)} ms in one call, ${median(1).toFixed(1)} ms by steps`,
      );
      let equal = 0;
      for (const [place, { photo, ids, leads }] of cases.entries()) {
        const { whole, stepped } = found.answers[place];
        assert.deepEqual(whole, stepped, photo);
        const other = [...ids, null].findIndex((id, at) => id !== (whole[at] ?? null));
        if (other === -1) equal += 1;
        else assert.ok(leads[other] < CLOSE, `${photo}: ${whole} is not ${ids}`);
      }
      t.diagnostic(`${equal} of ${cases.length} captions equal Python's`);
      assert.ok(equal >= 10);
      await page.close();
    });
  }

  test("what can't be used is refused with one sentence", async () => {
    const page = await open();
    const found = await page.evaluate(async () => {
      const { OnnxCaptioner } = await import("/captioner.js");
      const ort = await import("/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs");
      const bytes = new Uint8Array(await (await fetch("/captioner.onnx")).arrayBuffer());
      const load = (file) => OnnxCaptioner.load(ort, file).catch((error) => error.message);
      const captioner = await OnnxCaptioner.load(ort, bytes);
      const small = captioner.caption(new Uint8Array(7)).catch((error) => error.message);
      return [
        await load(bytes.subarray(0, 5000)),
        await load(new TextEncoder().encode("words")),
        await load(new Uint8Array(0)),
        await small,
      ];
    });
    assert.match(found[0], /^The file is truncated; copy or export it again/);
    assert.match(found[1], /^The file is (no \.onnx model|truncated)/);
    assert.match(found[2], /^The file holds no edgecap\.json; make a captioner with: edgecap export/);
    assert.match(found[3], /^The photograph has 7 bytes; this captioner takes 150528 \(RGB, 224 x/);
    await page.close();
  });
});
