/** A headless Chromium and a server for it, for the tests that need a browser. */

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { serving } from "../../runtime/web/tools/serve.js";

const WEB = new URL("../../runtime/web/", import.meta.url);
const { chromium } = createRequire(new URL("package.json", WEB))("playwright-core");

export const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");
export const BUILD = `${ROOT}/tests/web/build`;

const CHROMIUM = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path && existsSync(path),
);

/** Why tests that need a browser are skipped; false where they run. */
export const noBrowser = CHROMIUM === undefined && "needs Chromium (apt-get install chromium)";

/**
 * Start a browser; close it afterwards.
 *
 * @param {string[]} [flags]
 */
export function launch(flags = []) {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", ...flags] });
}

/**
 * Start one with a profile in a folder, which keeps what was cached.
 *
 * @param {string} folder
 * @param {object} [options]
 */
export function launchProfile(folder, options = {}) {
  return chromium.launchPersistentContext(folder, {
    executablePath: CHROMIUM,
    args: ["--no-sandbox"],
    ...options,
  });
}

/**
 * Serve folders at a port of its own.
 *
 * @param {{prefix: string, folder: string}[]} folders
 * @param {Parameters<typeof serving>[1]} [options]
 * @returns {Promise<{address: string, close: () => void}>}
 */
export async function serve(folders, options) {
  const server = serving(folders, options);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    address: `http://localhost:${port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

export const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** Serve the library's sources with a page that can import them, golden files and samples. */
export function serveLibrary(headers = {}) {
  return serve(
    [
      { prefix: "/src/", folder: `${ROOT}/runtime/web/src` },
      { prefix: "/node_modules/", folder: `${ROOT}/runtime/web/node_modules` },
      { prefix: "/golden/", folder: `${ROOT}/tests/web/golden` },
      { prefix: "/build/", folder: BUILD },
      { prefix: "/samples/", folder: `${ROOT}/edgecap/samples` },
      { prefix: "/", folder: `${ROOT}/tests/web/page` },
    ],
    { compressed: false, headers },
  );
}

/**
 * Make the exported captioners and what Python says with them, once; needs Python with edgecap.
 *
 * @param {string} [option] Which of them: an option of make_golden.py.
 * @param {string} [folder] Where they are.
 * @returns {string | false} Why there are none, or false.
 */
export function noModels(option = "--models", folder = BUILD) {
  if (existsSync(`${folder}/complete`)) return false;
  const python = [process.env.EDGECAP_PYTHON, `${ROOT}/.venv/bin/python`].find(
    (path) => path && existsSync(path),
  );
  if (python === undefined) {
    return "needs exported captioners: run make demo, or set EDGECAP_PYTHON to a Python with edgecap";
  }
  try {
    const command = [`${ROOT}/tests/web/make_golden.py`, option, folder];
    execFileSync(python, command, { stdio: "pipe" });
    return false;
  } catch (error) {
    throw new Error(`make_golden.py failed: ${error.stderr ?? error}`);
  }
}
