/**
 * Builds what is served: `node tools/build.js [--out FOLDER] [CAPTIONER.tflite ...]`; by default
 * into `build`.
 *
 * Copies the app, the library and LiteRT.js; lists captioners and samples; fills the lists of the
 * service worker in. Nothing is bundled or minified: the browser loads what is read here, but for
 * the names of packages, in whose place their addresses stand: a worker has no import map.
 */

import { createHash } from "node:crypto";
import { copyFile, cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { EdgecapError } from "../src/errors.js";
import { manifestIn } from "../src/bundle.js";

const WEB = fileURLToPath(new URL("..", import.meta.url));
const MODULES = join(WEB, "node_modules", "@litertjs");
const PHOTOGRAPHS = join(WEB, "..", "..", "edgecap", "samples");
const SAMPLES = [
  "golden-retriever",
  "drum-festival",
  "dogs-at-a-door",
  "horses",
  "german-shepherd",
  "astronaut-portrait",
];

const { values: OPTIONS, positionals: FILES } = parseArgs({
  options: { out: { type: "string", default: join(WEB, "build") } },
  allowPositionals: true,
});
const OUT = OPTIONS.out;

/** @param {string} text */
const hash = (text) => createHash("sha256").update(text).digest("hex").slice(0, 12);

/**
 * List a folder's files, deeply, as addresses.
 *
 * @param {string} folder
 */
async function addresses(folder) {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found
    .filter((item) => item.isFile())
    .map((item) => relative(OUT, join(item.parentPath ?? item.path, item.name)))
    .map((path) => path.split(sep).join("/"))
    .sort();
}

/** @param {string[]} files */
async function copyCaptioners(files) {
  await mkdir(join(OUT, "captioners"), { recursive: true });
  const listed = [];
  for (const file of files) {
    const content = await readFile(file);
    const { name, recipe } = await manifestIn(file, content);
    const address = `captioners/${basename(file)}`;
    await writeFile(join(OUT, address), content);
    const version = createHash("sha256").update(content).digest("hex").slice(0, 12);
    listed.push({ name, recipe, file: `${address}?${version}`, bytes: content.length });
  }
  await writeFile(join(OUT, "captioners.json"), JSON.stringify(listed, null, 1));
  return listed;
}

async function copySamples() {
  await mkdir(join(OUT, "samples"), { recursive: true });
  const listed = SAMPLES.map((name) => ({
    file: `samples/${name}.jpg`,
    label: `Sample: ${name.replaceAll("-", " ")}`,
  }));
  for (const { file } of listed) await copyFile(join(PHOTOGRAPHS, basename(file)), join(OUT, file));
  await copyFile(join(PHOTOGRAPHS, "SOURCES.md"), join(OUT, "samples", "SOURCES.md"));
  await writeFile(join(OUT, "samples.json"), JSON.stringify(listed, null, 1));
}

/**
 * @param {string} file
 * @param {Record<string, string>} values
 */
async function fill(file, values) {
  let text = await readFile(join(OUT, file), "utf8");
  for (const [name, value] of Object.entries(values)) text = text.replaceAll(name, value);
  await writeFile(join(OUT, file), text);
}

/**
 * Put addresses in the place of packages' names.
 *
 * @param {Record<string, string>} packages Their addresses.
 */
async function resolveImports(packages) {
  const modules = (await addresses(OUT)).filter((path) => /^(worker|lib\/.*)\.js$/.test(path));
  for (const path of modules.filter((name) => !name.includes("/wasm/"))) {
    const values = Object.entries(packages).map(([name, address]) => {
      const found = posix.relative(posix.dirname(path), address);
      return [`"${name}"`, `"${found.startsWith(".") ? found : `./${found}`}"`];
    });
    await fill(path, Object.fromEntries(values));
  }
}

/** @param {string[]} captioners */
async function build(captioners) {
  const core = JSON.parse(await readFile(join(MODULES, "core", "package.json"), "utf8"));
  const litert = `lib/litertjs-${core.version}`;
  await rm(OUT, { recursive: true, force: true });
  await cp(join(WEB, "app"), OUT, { recursive: true });
  await cp(join(WEB, "src"), join(OUT, "lib", "edgecap-web"), { recursive: true });
  for (const file of ["core/dist/index.js", "wasm-utils/dist/bundle.js"]) {
    await cp(join(MODULES, file), join(OUT, litert, file));
  }
  await cp(join(MODULES, "core", "wasm"), join(OUT, litert, "core", "wasm"), {
    recursive: true,
    // A variant for graphics processors, which nothing here asks for.
    filter: (path) => !basename(path).includes("jspi"),
  });
  await resolveImports({
    "edgecap-web": "lib/edgecap-web/index.js",
    "@litertjs/core": `${litert}/core/dist/index.js`,
    "@litertjs/wasm-utils": `${litert}/wasm-utils/dist/bundle.js`,
  });
  await copySamples();
  const listed = await copyCaptioners(captioners);

  const all = (await addresses(OUT)).filter((path) => path !== "service-worker.js");
  const isLarge = (/** @type {string} */ path) =>
    path.includes("/wasm/") || path.startsWith("captioners/") || path.startsWith("samples/");
  const small = all.filter((path) => !isLarge(path));
  const large = [
    ...all.filter((path) => isLarge(path) && !path.startsWith("captioners/")),
    ...listed.map(({ file }) => file),
  ];
  let contents = large.join("\n");
  for (const path of small) contents += await readFile(join(OUT, path), "utf8");
  /** @param {string[]} paths */
  const lines = (paths) => paths.map((path) => `\n  ${JSON.stringify(path)},`).join("");
  await fill("service-worker.js", {
    "@VERSION@": hash(contents),
    "/* @SMALL@ */": `${lines(small)}\n`,
    "/* @LARGE@ */": `${lines(large)}\n`,
  });
  console.log(`${relative(process.cwd(), OUT)}: the app with ${listed.length} captioners`);
}

try {
  await build(FILES);
} catch (error) {
  const code = /** @type {NodeJS.ErrnoException} */ (error).code;
  if (!(error instanceof EdgecapError) && code !== "ENOENT") throw error;
  console.error(`Unable to build the app: ${/** @type {Error} */ (error).message}`);
  process.exitCode = 2;
}
