/**
 * Times the browser against the Python runtime, photograph by photograph in turns.
 *
 *     node tests/web/speed.js [ROUNDS]
 *
 * Medians in milliseconds of the encoder and of greedy search, both with 1 thread, the browser with
 * 2 besides; and the ratios of each photograph's own times. Needs what the tests need.
 */

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";

import { BUILD, ISOLATED, ROOT, launch, noBrowser, noModels, serveLibrary } from "./browser.js";

const FILE = "mobilenet-lstm-static-int8.tflite";
const PHOTOS = readdirSync(`${ROOT}/edgecap/samples`).filter((name) => name.endsWith(".jpg"));
const ROUNDS = Number(process.argv[2] ?? 10);
const PYTHON = `
import json, sys
from edgecap_runtime import Captioner
captioner = Captioner.load(sys.argv[1], threads=1)
for line in sys.stdin:
    caption = captioner.caption(line.strip(), beam=1)
    t = caption.timings
    print(json.dumps([t.prepare, t.encode, t.decode, t.steps]), flush=True)
`;

const missing = noBrowser || noModels();
if (missing) {
  console.error(missing);
  process.exit(2);
}

const python = spawn(
  process.env.EDGECAP_PYTHON ?? `${ROOT}/.venv/bin/python`,
  ["-c", PYTHON, `${BUILD}/${FILE}`],
  { stdio: ["pipe", "pipe", "ignore"] },
);
const answers = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
async function inPython(photo) {
  python.stdin.write(`${ROOT}/edgecap/samples/${photo}\n`);
  return JSON.parse((await answers.next()).value);
}

const server = await serveLibrary(ISOLATED);
const browser = await launch();
async function inBrowser(threads) {
  const page = await browser.newPage();
  await page.goto(server.address);
  await page.evaluate(
    async ([file, count]) => {
      const { Captioner } = await import("edgecap-web");
      globalThis.captioner = await Captioner.load(`/build/${file}`, { threads: count });
    },
    [FILE, threads],
  );
  return (photo) =>
    page.evaluate(async (name) => {
      const blob = await (await fetch(`/samples/${name}`)).blob();
      const { timings } = await globalThis.captioner.caption(blob, { beam: 1 });
      return [timings.prepare, timings.encode, timings.decode, timings.steps];
    }, photo);
}

const targets = {
  "Python, 1 thread": inPython,
  "browser, 1 thread": await inBrowser(1),
  "browser, 2 threads": await inBrowser(2),
};
const times = Object.fromEntries(Object.keys(targets).map((name) => [name, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const photo of PHOTOS) {
    for (const [name, run] of Object.entries(targets)) {
      const found = await run(photo);
      // The first round warms up.
      if (round > 0) times[name].push(found);
    }
  }
}
await browser.close();
server.close();
python.kill();

const median = (values) => values.sort((one, other) => one - other)[values.length >> 1];
const base = times["Python, 1 thread"];
console.log("| target | prepare | encode | a step | encode + words | / Python |");
console.log("|---|---|---|---|---|---|");
for (const [name, rows] of Object.entries(times)) {
  const [prepare, encode, step, both] = [
    rows.map(([value]) => value),
    rows.map(([, value]) => value),
    rows.map(([, , decode, steps]) => decode / steps),
    rows.map(([, one, other]) => one + other),
  ].map((values) => median(values).toFixed(2));
  const ratio = median(rows.map(([, e, d], place) => (e + d) / (base[place][1] + base[place][2])));
  console.log(`| ${name} | ${prepare} | ${encode} | ${step} | ${both} | ${ratio.toFixed(1)} |`);
}
