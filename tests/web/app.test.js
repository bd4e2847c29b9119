/** The app in a real browser, as people use it. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { BUILD, ROOT, launch, launchProfile, noBrowser, noModels, serve } from "./browser.js";

const missing = noBrowser || noModels();
const STATIC = `${BUILD}/mobilenet-lstm-static-int8`;
const TINY = `${ROOT}/tests/web/golden/tiny-step.tflite`;
const SAMPLES = `${ROOT}/edgecap/samples`;

describe("the app", { skip: missing }, () => {
  const folder = mkdtempSync(join(tmpdir(), "edgecap-web-"));
  const said = new Map();
  /** What a captioner's file waits for before it is sent. */
  let delay = Promise.resolve();
  /** @type {Awaited<ReturnType<typeof serve>>} */
  let server;
  /** @type {import("playwright-core").Browser} */
  let browser;

  before(async () => {
    const build = join(ROOT, "runtime", "web", "tools", "build.js");
    const files = [`${STATIC}.tflite`, TINY];
    execFileSync(process.execPath, [build, "--out", join(folder, "app"), ...files]);
    for (const { photo, captions } of JSON.parse(readFileSync(`${STATIC}.json`, "utf8")).cases) {
      said.set(photo.replace(/\.png$/, ""), captions.map(({ found }) => found[0].text));
    }
    const seen = (/** @type {string} */ path) => (path.endsWith(".tflite") ? delay : undefined);
    server = await serve([{ prefix: "/", folder: join(folder, "app") }], { seen, compressed: false });
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Open the app in a profile of its own, ready to caption. */
  async function open(options = {}) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    await ready(page);
    return page;
  }

  async function ready(page, address = server.address) {
    await page.goto(address);
    await page.waitForSelector("html[data-ready=yes]", { timeout: 60_000 });
  }

  /** Wait for a caption that is complete, and give it. */
  async function caption(page, before = "") {
    await page.waitForFunction(
      (old) => {
        const place = document.getElementById("caption");
        const text = place?.textContent;
        return place?.ariaBusy === "false" && text && text !== old;
      },
      before,
      { timeout: 30_000 },
    );
    return page.textContent("#caption");
  }

  /** What is wrong, once the page says so. */
  async function complaint(page) {
    await page.waitForSelector("#error:not([hidden])", { timeout: 30_000 });
    return page.textContent("#error");
  }

  test("a chosen photograph is captioned with Python's words, greedily and by beam", async () => {
    const page = await open();
    for (const name of ["horses", "golden-retriever"]) {
      const [greedy, beam] = said.get(name);
      await page.check("input[value='1']");
      await page.setInputFiles("#file", `${SAMPLES}/${name}.jpg`);
      await page.waitForFunction((text) => document.getElementById("caption")?.textContent === text, greedy);
      await page.check("input[value='3']");
      await page.waitForFunction((text) => document.getElementById("caption")?.textContent === text, beam);
      assert.equal(await page.getAttribute("#photo", "alt"), beam);
    }
    assert.match(
      await page.textContent("#timings"),
      /^encoder [\d.]+ ms · \d+ words [\d.]+ ms · photograph [\d.]+ ms · \d threads?$/,
    );
    await page.context().close();
  });

  test("words appear one after the other", async () => {
    const page = await open();
    await page.evaluate(() => {
      globalThis.seen = [];
      const place = document.getElementById("caption");
      new MutationObserver(() => globalThis.seen.push([place.textContent, place.ariaBusy])).observe(
        place,
        { childList: true },
      );
    });
    await page.setInputFiles("#file", `${SAMPLES}/horses.jpg`);
    const text = await caption(page);
    const seen = (await page.evaluate(() => globalThis.seen)).filter(([part]) => text.startsWith(part));
    const words = text.split(" ");
    for (const count of words.keys()) {
      const part = words.slice(0, count + 1).join(" ");
      assert.ok(seen.some(([shown]) => shown === part), `'${part}' was never shown`);
    }
    // A screen reader hears it once, when it is whole.
    assert.deepEqual(seen.filter(([, busy]) => busy === "false").map(([part]) => part), [text]);
    await page.context().close();
  });

  test("a dropped photograph and a sample are captioned", async () => {
    const page = await open();
    const bytes = readFileSync(`${SAMPLES}/football.jpg`).toString("base64");
    await page.evaluate(async (content) => {
      const data = new DataTransfer();
      const blob = await (await fetch(`data:image/jpeg;base64,${content}`)).blob();
      data.items.add(new File([blob], "football.jpg", { type: "image/jpeg" }));
      document.getElementById("stage").dispatchEvent(
        new DragEvent("drop", { dataTransfer: data, bubbles: true }),
      );
    }, bytes);
    const first = await caption(page);
    assert.equal(first, said.get("football")[0]);
    await page.click("#samples button[type=button] img[alt='Sample: horses']");
    assert.equal(await caption(page, first), said.get("horses")[0]);
    await page.context().close();
  });

  test("a photograph chosen before the captioner has come is captioned when it has", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    let send = () => {};
    delay = new Promise((resolve) => (send = resolve));
    try {
      await page.goto(server.address);
      await page.waitForFunction(() => globalThis.crossOriginIsolated);
      await page.waitForSelector("#loading:not([hidden])");
      await page.setInputFiles("#file", `${SAMPLES}/horses.jpg`);
      assert.equal(await page.getAttribute("#caption", "aria-busy"), "true");
      assert.equal(await page.textContent("#caption"), "Looking …");
    } finally {
      send();
    }
    assert.equal(await caption(page), said.get("horses")[0]);
    await context.close();
  });

  test("what can't be used is said, and the app goes on", async () => {
    const page = await open();
    const words = join(folder, "words.jpg");
    writeFileSync(words, "no picture");
    await page.setInputFiles("#file", words);
    assert.match(await complaint(page), /^words\.jpg is broken or no image/);
    const broken = join(folder, "broken.tflite");
    writeFileSync(broken, readFileSync(`${STATIC}.tflite`).subarray(0, 100_000));
    await page.setInputFiles("#own", broken);
    await page.waitForFunction(() => document.getElementById("error")?.textContent?.includes("tflite"));
    assert.match(await complaint(page), /^broken\.tflite is a \.tflite model without edgecap's entries/);
    // The captioner before it is still in use.
    await page.setInputFiles("#file", `${SAMPLES}/horses.jpg`);
    assert.equal(await caption(page), said.get("horses")[0]);
    assert.equal(await page.isVisible("#error"), false);
    await page.context().close();
  });

  test("a file of one's own and a shipped one take the captioner's place", async () => {
    const page = await open();
    await page.setInputFiles("#file", `${SAMPLES}/horses.jpg`);
    const first = await caption(page);
    await page.waitForSelector("#checked:not(:empty)");
    assert.match(
      await page.textContent("#checked"),
      /^Checked: this machine says what the exporting one said: 4 of 4 captions, .* allowed\)\.$/,
    );
    await page.setInputFiles("#own", TINY);
    const own = await caption(page, first);
    assert.notEqual(own, said.get("horses")[0]);
    assert.equal(await page.inputValue("#captioner"), "own");
    assert.match(await page.textContent("#about"), /^tiny: mean-colour and elman, float32, 12 words/);
    // An older file carries nothing.
    assert.equal(await page.textContent("#checked"), "");
    await page.selectOption("#captioner", "0");
    assert.equal(await caption(page, own), said.get("horses")[0]);
    await page.context().close();
  });

  test("without a network the app still captions; only what is used was fetched", async () => {
    const profile = join(folder, "profile");
    /** @type {string[]} */
    const fetched = [];
    const own = await serve([{ prefix: "/", folder: join(folder, "app") }], {
      seen: (path) => fetched.push(path),
      compressed: false,
    });
    let context = await launchProfile(profile);
    await ready(await context.newPage(), own.address);
    const wasm = fetched.filter((path) => path.endsWith(".wasm"));
    assert.deepEqual(wasm.map((path) => path.split("/").at(-1)), ["litert_wasm_threaded_internal.wasm"]);
    const captioners = fetched.filter((path) => path.endsWith(".tflite"));
    assert.deepEqual(captioners, ["/captioners/mobilenet-lstm-static-int8.tflite"]);
    await context.close();

    // A new start of the browser, without a server and without a network.
    own.close();
    context = await launchProfile(profile);
    await context.setOffline(true);
    const page = await context.newPage();
    await ready(page, own.address);
    assert.equal(await page.evaluate(() => globalThis.crossOriginIsolated), true);
    await page.setInputFiles("#file", `${SAMPLES}/horses.jpg`);
    assert.equal(await caption(page), said.get("horses")[0]);
    await page.reload();
    await page.waitForSelector("html[data-ready=yes]");
    await page.setInputFiles("#file", `${SAMPLES}/football.jpg`);
    assert.equal(await caption(page), said.get("football")[0]);
    await context.close();
  });

  test("the page answers while a large photograph is captioned", async (t) => {
    const page = await open();
    const found = await page.evaluate(async () => {
      const image = await createImageBitmap(await (await fetch("samples/horses.jpg")).blob());
      const canvas = new OffscreenCanvas(4000, 3000);
      canvas.getContext("2d").drawImage(image, 0, 0, 4000, 3000);
      const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
      const place = document.getElementById("caption");
      const turns = [];
      // In turns, for another program may hold the page's thread up once.
      for (let turn = 0; turn < 3; turn++) {
        const data = new DataTransfer();
        data.items.add(new File([blob], "large.jpg", { type: "image/jpeg" }));
        place.textContent = "";
        const begun = performance.now();
        let [last, longest] = [begun, 0];
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        while (place.ariaBusy !== "false" || place.textContent === "") {
          await new Promise((resolve) => setTimeout(resolve));
          const now = performance.now();
          [last, longest] = [now, Math.max(longest, now - last)];
        }
        turns.push([longest, last - begun]);
      }
      return turns;
    });
    t.diagnostic(`longest silences and captions, ms: ${found.map((turn) => turn.map(Math.round)).join("; ")}`);
    const share = Math.min(...found.map(([longest, whole]) => longest / whole));
    // Half of it and more, were it captioned on the page's own thread.
    assert.ok(share < 0.25, `the page was silent for ${share} of a caption's time`);
    await page.context().close();
  });

  test("memory is flat over many captions, those that are given up included", async () => {
    const page = await open();
    const names = ["horses", "football", "pagoda", "golden-retriever"];
    const captions = async (count) => {
      for (let turn = 0; turn < count; turn++) {
        const beam = turn % 3 === 2 ? 3 : 1;
        await page.check(`input[value='${beam}']`);
        await page.setInputFiles("#file", `${SAMPLES}/${names[turn % names.length]}.jpg`);
        if (turn % 4 !== 1) await caption(page);
      }
      await caption(page);
      await page.waitForTimeout(200);
      const worker = page.workers().find((one) => one.url().endsWith("/worker.js"));
      return worker.evaluate(async () => {
        const { memoryBytes } = await import("./lib/edgecap-web/index.js");
        return { bytes: memoryBytes(), captioners: captioners.size, streams: streams.size };
      });
    };
    const first = await captions(12);
    assert.deepEqual([first.captioners, first.streams], [1, 0]);
    assert.deepEqual(await captions(48), first);
    // A captioner that another takes the place of is freed.
    await page.setInputFiles("#own", TINY);
    await page.waitForFunction(() => document.getElementById("captioner").value === "own");
    assert.equal((await captions(4)).captioners, 1);
    await page.context().close();
  });

  test("it can be installed: a manifest with icons, and a worker", async () => {
    const page = await open();
    const session = await page.context().newCDPSession(page);
    const { errors, url } = await session.send("Page.getAppManifest");
    assert.deepEqual(errors, []);
    assert.match(url, /manifest\.webmanifest$/);
    const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
    const other = installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito");
    assert.deepEqual(other, []);
    await page.context().close();
  });

  test("everything can be done by keyboard, and has a name", async () => {
    const page = await open();
    await page.setInputFiles("#file", `${SAMPLES}/horses.jpg`);
    await caption(page);
    const names = [];
    await page.evaluate(() => document.activeElement?.blur());
    for (let turn = 0; turn < 40; turn++) {
      await page.keyboard.press("Tab");
      const name = await page.evaluate(() => {
        const focused = document.activeElement;
        if (focused === null || focused === document.body) return null;
        const outline = getComputedStyle(focused).outlineStyle;
        const label = focused.labels?.[0]?.textContent ?? focused.querySelector("img")?.alt;
        return [(label ?? focused.textContent).trim(), outline];
      });
      if (name === null) break;
      names.push(name);
    }
    const labels = names.map(([label]) => label);
    for (const label of ["Speak", "Copy", "Choose photograph", "Camera", "Sample: horses", "File",
      "Open your own", "Greedy, word by word", "Speak each caption by itself"]) {
      assert.ok(labels.includes(label), `${label} is not reached: ${labels.join(", ")}`);
    }
    for (const [label, outline] of names) {
      assert.ok(label.length > 0, "something has no name");
      assert.notEqual(outline, "none", `${label} shows no focus`);
    }
    await page.context().close();
  });

  test("a caption is spoken at a button, or by itself", async () => {
    const page = await open();
    await page.evaluate(() => {
      globalThis.spoken = [];
      speechSynthesis.speak = ({ text, lang }) => globalThis.spoken.push([text, lang]);
    });
    await page.setInputFiles("#file", `${SAMPLES}/horses.jpg`);
    const text = await caption(page);
    assert.deepEqual(await page.evaluate(() => globalThis.spoken), []);
    await page.click("#speak");
    await page.check("#aloud");
    await page.setInputFiles("#file", `${SAMPLES}/football.jpg`);
    const second = await caption(page, text);
    assert.deepEqual(await page.evaluate(() => globalThis.spoken), [[text, "en"], [second, "en"]]);
    await page.context().close();
  });

  test("nothing is wider than a narrow phone, large letters included", async () => {
    const page = await open({ viewport: { width: 360, height: 740 } });
    await page.setInputFiles("#file", `${SAMPLES}/pagoda.jpg`);
    await caption(page);
    for (const size of ["100%", "200%"]) {
      await page.evaluate((value) => (document.documentElement.style.fontSize = value), size);
      const [wide, window] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        innerWidth,
      ]);
      assert.ok(wide <= window, `${wide} pixels wide at ${size}`);
    }
    await page.context().close();
  });

  describe("with a camera", () => {
    const FAKE = ["--use-fake-device-for-media-stream"];
    /** @type {import("playwright-core").Browser} */
    let filmed;

    before(async () => {
      const film = join(folder, "film.y4m");
      writeFileSync(film, filmOf(`${BUILD}/photos/horses.png`));
      filmed = await launch([
        ...FAKE,
        "--use-fake-ui-for-media-stream",
        `--use-file-for-fake-video-capture=${film}`,
      ]);
    });

    after(() => filmed?.close());

    test("a photograph is taken and captioned, and live pictures are", async () => {
      const context = await filmed.newContext();
      const page = await context.newPage();
      await ready(page);
      await page.click("#camera");
      await page.waitForSelector("#video:not([hidden])");
      await page.click("#live");
      assert.equal(await page.getAttribute("#live", "aria-pressed"), "true");
      const text = await caption(page);
      // The film is not the photograph to the last bit, but shows the same.
      assert.match(text, /horse|dog|people|man|field|grass/);
      await page.click("#take");
      await page.waitForSelector("#photo:not([hidden])");
      await page.waitForFunction(() => document.getElementById("caption")?.ariaBusy === "false");
      assert.match(await page.textContent("#caption"), /horse|dog|people|man|field|grass/);
      assert.equal(await page.evaluate(() => document.getElementById("video").srcObject), null);
      // Live again, then closed: nothing runs on.
      await page.click("#camera");
      await page.click("#live");
      await caption(page);
      await page.click("#stop");
      assert.equal(await page.isVisible("#photo"), true);
      assert.equal(await page.evaluate(() => document.getElementById("video").srcObject), null);
      await context.close();
    });

    test("no leave to use it, and none there, is said in words", async () => {
      for (const [flags, reason] of [
        [["--use-fake-device-for-media-stream", "--deny-permission-prompts"], /may not be used/],
        [[], /No camera was found|may not be used/],
      ]) {
        const other = await launch(flags);
        const page = await other.newPage();
        await ready(page);
        await page.click("#camera");
        assert.match(await complaint(page), reason);
        assert.equal(await page.isVisible("#choose"), true);
        await other.close();
      }
    });
  });
});

/** Give a film of one picture for Chromium's fake camera: YUV 4:2:0, limited range. */
function filmOf(png) {
  const [width, height] = [320, 240];
  const script = [
    "import sys",
    "from PIL import Image",
    `image = Image.open(sys.argv[1]).convert("RGB").resize((${width}, ${height})).convert("YCbCr")`,
    "y, cb, cr = image.split()",
    "half = (image.width // 2, image.height // 2)",
    "limited = lambda p, top: p.point(lambda v: 16 + v * (top - 16) // 255)",
    "planes = [limited(y, 235), limited(cb.resize(half), 240), limited(cr.resize(half), 240)]",
    "sys.stdout.buffer.write(b''.join(p.tobytes() for p in planes))",
  ].join("\n");
  const python = process.env.EDGECAP_PYTHON ?? `${ROOT}/.venv/bin/python`;
  const frame = execFileSync(python, ["-c", script, png]);
  const head = Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420\n`);
  const frames = Array.from({ length: 10 }, () => [Buffer.from("FRAME\n"), frame]);
  return Buffer.concat([head, ...frames.flat()]);
}
