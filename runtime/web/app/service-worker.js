/**
 * Keeps the app for use without a network, and isolates its pages.
 *
 * The app's small files are kept when the worker is installed. Large ones (WebAssembly, captioners)
 * are kept when they are first asked for, so that only those that are used travel. Addresses of
 * large files change with their content, or name a version. tools/build.js fills in the lists.
 */

const VERSION = "@VERSION@";
/** @type {string[]} */
const SMALL = [/* @SMALL@ */];
/** @type {string[]} */
const LARGE = [/* @LARGE@ */];

const SMALL_CACHE = `edgecap ${VERSION}`;
const LARGE_CACHE = "edgecap large";

/** What a page needs to have threads (SharedArrayBuffer). */
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/** @param {string} path */
const absolute = (path) => new URL(path, self.registration.scope).href;

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(SMALL_CACHE);
      // Past the browser's own cache, which may hold files of the version before.
      await cache.addAll(SMALL.map((path) => new Request(absolute(path), { cache: "reload" })));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        const ours = name.startsWith("edgecap ");
        if (ours && name !== SMALL_CACHE && name !== LARGE_CACHE) await caches.delete(name);
      }
      const cache = await caches.open(LARGE_CACHE);
      const wanted = new Set(LARGE.map(absolute));
      for (const request of await cache.keys()) {
        if (!wanted.has(request.url)) await cache.delete(request);
      }
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(self.registration.scope)) return;
  event.respondWith(answer(request));
});

/** @param {Request} request */
async function answer(request) {
  const url = request.url.split("#")[0];
  if (LARGE.map(absolute).includes(url)) return isolated(await kept(url));
  const cache = await caches.open(SMALL_CACHE);
  const found = await cache.match(url === absolute("./") ? absolute("index.html") : url);
  return isolated(found ?? (await fetch(request)));
}

/** @param {string} url */
async function kept(url) {
  const cache = await caches.open(LARGE_CACHE);
  const found = await cache.match(url);
  if (found !== undefined) return found;
  const response = await fetch(url);
  if (response.ok) {
    // Not awaited: the page reads while the copy is stored. A full disk loses the copy only.
    cache.put(url, response.clone()).catch(() => {});
  }
  return response;
}

/** @param {Response} response */
function isolated(response) {
  if (response.type === "error" || response.status === 0) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  const { status, statusText } = response;
  const body = status === 204 || status === 304 ? null : response.body;
  return new Response(body, { status, statusText, headers });
}
