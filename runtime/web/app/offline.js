/** The service worker: the app without a network, and the isolation that threads need. */

const RELOADED = "edgecap reloaded for isolation";
const LONGEST_WAIT = 30_000;

/**
 * Wait until the service worker answers for this page, so that what is loaded afterwards is kept.
 *
 * A page whose server doesn't isolate it is loaded once more, now by the worker, which does. Gives
 * whether the app will work without a network.
 *
 * @returns {Promise<boolean>}
 */
export async function underWorker() {
  if (!("serviceWorker" in navigator)) return false;
  try {
    await controlled(await navigator.serviceWorker.register("service-worker.js"));
  } catch {
    return false;
  }
  if (!globalThis.crossOriginIsolated && sessionStorage.getItem(RELOADED) === null) {
    sessionStorage.setItem(RELOADED, "yes");
    location.reload();
    await new Promise(() => {});
  }
  return true;
}

/**
 * Wait for the worker to take this page over, which it does once it is active.
 *
 * @param {ServiceWorkerRegistration} registration
 */
function controlled({ installing }) {
  if (navigator.serviceWorker.controller !== null) return undefined;
  return new Promise((resolve, reject) => {
    navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
    // A worker that can't keep its files is thrown away.
    installing?.addEventListener("statechange", () => {
      if (installing.state === "redundant") reject();
    });
    setTimeout(reject, LONGEST_WAIT);
  });
}
