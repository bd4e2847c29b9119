/**
 * Serves a folder over HTTP: `node tools/serve.js [FOLDER] [PORT]`.
 *
 * Any static server will do; this one compresses, which a phone's first visit is glad of.
 */

import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { constants, brotliCompress, gzip } from "node:zlib";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};
const WORTH_COMPRESSING = new Set([".css", ".html", ".js", ".json", ".svg", ".tflite", ".wasm"]);

const brotli = promisify(brotliCompress);
const gzipped = promisify(gzip);

/**
 * Make a server.
 *
 * @param {{prefix: string, folder: string}[]} folders What is served below which address; the first
 *   whose prefix fits.
 * @param {object} [options]
 * @param {boolean} [options.compressed] Whether to compress what is worth it.
 * @param {Record<string, string>} [options.headers] Sent with each answer.
 * @param {(path: string) => unknown} [options.seen] Called with each path that is asked for, and
 *   awaited before the answer.
 * @returns {import("node:http").Server}
 */
export function serving(folders, { compressed = true, headers = {}, seen } = {}) {
  /** @type {Map<string, Promise<Buffer>>} */
  const packed = new Map();
  return createServer(async (request, response) => {
    try {
      const path = decodeURIComponent(new URL(request.url ?? "/", "http://here").pathname);
      await seen?.(path);
      const found = await fileAt(folders, path);
      if (found === null || !["GET", "HEAD"].includes(request.method ?? "")) {
        response.writeHead(found === null ? 404 : 405, { "Content-Type": "text/plain", ...headers });
        response.end(found === null ? "Not found\n" : "Only GET\n");
        return;
      }
      const kind = extname(found.file);
      const answer = {
        "Content-Type": TYPES[/** @type {keyof typeof TYPES} */ (kind)] ?? "application/octet-stream",
        // The browser asks each time whether what it has is still the same.
        "Cache-Control": "no-cache",
        ETag: `"${found.size}-${found.changed}"`,
        Vary: "Accept-Encoding",
        ...headers,
      };
      if (request.headers["if-none-match"] === answer.ETag) {
        response.writeHead(304, answer).end();
        return;
      }
      const encodings = String(request.headers["accept-encoding"] ?? "");
      const encoding = ["br", "gzip"].find((name) => encodings.includes(name));
      let content = await readFile(found.file);
      if (compressed && encoding !== undefined && WORTH_COMPRESSING.has(kind)) {
        const key = `${encoding} ${found.file} ${found.changed}`;
        if (!packed.has(key)) packed.set(key, compress(content, encoding));
        content = /** @type {Buffer} */ (await packed.get(key));
        Object.assign(answer, { "Content-Encoding": encoding });
      }
      response.writeHead(200, { ...answer, "Content-Length": content.length });
      response.end(request.method === "HEAD" ? undefined : content);
    } catch {
      response.writeHead(400).end();
    }
  });
}

/**
 * @param {Buffer} content
 * @param {string} encoding
 */
function compress(content, encoding) {
  if (encoding === "gzip") return gzipped(content);
  // 5 of 11: within 5 % of gzip's best in a fraction of a second.
  return brotli(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } });
}

/**
 * @param {{prefix: string, folder: string}[]} folders
 * @param {string} path
 */
async function fileAt(folders, path) {
  for (const { prefix, folder } of folders) {
    if (!path.startsWith(prefix)) continue;
    const file = normalize(join(folder, path.slice(prefix.length)));
    if (file !== folder && !file.startsWith(folder.endsWith(sep) ? folder : folder + sep)) continue;
    for (const candidate of [file, join(file, "index.html")]) {
      const found = await stat(candidate).catch(() => null);
      if (found?.isFile()) {
        return { file: candidate, size: found.size, changed: found.mtimeMs };
      }
    }
  }
  return null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = normalize(process.argv[2] ?? fileURLToPath(new URL("../build", import.meta.url)));
  const port = Number(process.argv[3] ?? 8000);
  const server = serving([{ prefix: "/", folder }]);
  server.on("error", (error) => {
    console.error(`Unable to serve at port ${port} (${error.message}); give another one.`);
    process.exit(2);
  });
  server.listen(port, () => {
    console.log(`edgecap at http://localhost:${port}/ (stop it with Ctrl-C)`);
  });
}
