/** The app: photographs in, captions out. */

import { Camera, CameraError } from "./camera.js";
import { Captioners } from "./captioners.js";
import { underWorker } from "./offline.js";
import { CaptionerError } from "./remote.js";

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
const element = (id) => /** @type {T} */ (document.getElementById(id));

const stage = element("stage");
const photo = /** @type {HTMLImageElement} */ (element("photo"));
const video = /** @type {HTMLVideoElement} */ (element("video"));
const caption = element("caption");
const select = /** @type {HTMLSelectElement} */ (element("captioner"));
const aloud = /** @type {HTMLInputElement} */ (element("aloud"));

const LIVE_PAUSE = 500;

const camera = new Camera(video);
const captioners = new Captioners(showProgress);
/** @type {import("./captioners.js").Shipped[]} */
let shipped = [];
/** What is being captioned; a newer one ends the older. */
let turn = 0;
let live = false;
/** @type {Blob | null} */
let shown = null;

/* Captions */

/** @param {Blob} blob */
async function captionPhoto(blob) {
  const mine = ++turn;
  shown = blob;
  const address = URL.createObjectURL(blob);
  photo.onload = photo.onerror = () => URL.revokeObjectURL(address);
  photo.src = address;
  photo.alt = "The photograph";
  show("photo");
  say(captioners.started ? "Looking …" : "Waiting for the captioner …", true);
  // The photograph is captioned once there is one.
  if (!captioners.started) return;
  await attempt(async () => {
    const captioner = await captioners.current();
    const beam = Number(document.querySelector("input[name=search]:checked")?.getAttribute("value"));
    const found =
      beam === 1
        ? await grown(captioner.stream(blob), mine)
        : await captioner.caption(blob, { beam });
    if (found !== null && mine === turn) conclude(found, captioner.about.threads);
  }, mine);
}

/**
 * Show a caption while it grows; give it once it is whole, or null if a newer one was asked for.
 *
 * @param {ReturnType<import("./remote.js").Captioner["stream"]>} stream
 * @param {number} mine
 */
async function grown(stream, mine) {
  for (;;) {
    const { done, value } = await stream.next();
    if (done) return value;
    if (mine !== turn) {
      await stream.return(/** @type {any} */ (null));
      return null;
    }
    say(value, true, "spoken");
    await painted();
  }
}

async function captionLive() {
  const mine = ++turn;
  await attempt(async () => {
    const captioner = await captioners.current();
    while (live && mine === turn) {
      const found = await captioner.caption(video, { beam: 1 });
      if (!live || mine !== turn) return;
      conclude(found, captioner.about.threads);
      await new Promise((resolve) => setTimeout(resolve, LIVE_PAUSE));
    }
  }, mine);
}

/**
 * @param {import("./remote.js").Found} found
 * @param {number} threads
 */
function conclude(found, threads) {
  const text = found.text === "" ? "(no words)" : found.text;
  const news = caption.ariaBusy === "true" || caption.textContent !== text;
  if (news) say(text, false);
  photo.alt = text;
  const { prepare, encode, decode } = found.timings;
  const parts = [
    `encoder ${milliseconds(encode)}`,
    `${found.words} words ${milliseconds(decode)}`,
    `photograph ${milliseconds(prepare)}`,
    threads === 1 ? "1 thread" : `${threads} threads`,
  ];
  element("timings").textContent = parts.join(" · ");
  element("caption-actions").hidden = false;
  if (news && aloud.checked) speak(text);
}

/**
 * Show a caption. While it grows, a screen reader waits for its end.
 *
 * @param {string} text
 * @param {boolean} unfinished
 * @param {string} [kind] "spoken" for words of the caption.
 */
function say(text, unfinished, kind) {
  caption.ariaBusy = String(unfinished);
  caption.classList.toggle("waiting", unfinished && kind !== "spoken");
  caption.textContent = text;
}

/** @param {number} value */
function milliseconds(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** Wait until the page has been painted, or would have been were it seen. */
function painted() {
  return new Promise((resolve) => {
    requestAnimationFrame(resolve);
    setTimeout(resolve, 50);
  });
}

/* Speech */

/** @param {string} text */
function speak(text) {
  if (!("speechSynthesis" in globalThis)) {
    fail("This browser has no voice to speak with.");
    return;
  }
  speechSynthesis.cancel();
  const utterance = new SpeechSynthesisUtterance(text);
  utterance.lang = "en";
  speechSynthesis.speak(utterance);
}

/* What is shown */

/** @param {"photo" | "video" | "empty"} which */
function show(which) {
  for (const name of ["photo", "video", "empty"]) element(name).hidden = name !== which;
  stage.classList.toggle("full", which !== "empty");
  element("sources").hidden = which === "video";
  element("camera-actions").hidden = which !== "video";
  element("error").hidden = true;
}

/** @param {string} message */
function fail(message) {
  element("error").textContent = message;
  element("error").hidden = false;
}

/**
 * Do some work and show its error, unless a newer caption has been asked for meanwhile.
 *
 * @param {() => Promise<void>} work
 * @param {number} [mine] Its turn, where it has one.
 */
async function attempt(work, mine) {
  try {
    await work();
  } catch (error) {
    if (mine !== undefined && mine !== turn) return;
    say("", false);
    element("caption-actions").hidden = true;
    const known = error instanceof CaptionerError || error instanceof CameraError;
    fail(known ? error.message : `Something failed (${error}); load the page again.`);
    if (!known) console.error(error);
  }
}

/**
 * @param {number} loaded
 * @param {number} total
 */
function showProgress(loaded, total) {
  const progress = /** @type {HTMLProgressElement} */ (element("progress"));
  progress.max = Math.max(total, loaded);
  progress.value = loaded;
  const [have, all] = [loaded, total].map((bytes) => (bytes / 1e6).toFixed(1));
  element("loading-text").textContent = `Loading the captioner: ${have} of ${all} MB`;
}

/* Captioners */

/** @param {() => Promise<import("./remote.js").Captioner>} load */
async function useCaptioner(load) {
  element("loading").hidden = false;
  element("error").hidden = true;
  // What is being captioned loses its captioner, and is captioned again by the new one.
  turn += 1;
  try {
    const captioner = await load();
    const { name, recipe, encoder, decoder, words, threads } = captioner.about;
    element("about").textContent =
      `${name}: ${encoder} and ${decoder}, ${recipe}, ${words} words; ` +
      `runs on ${threads} thread${threads === 1 ? "" : "s"} of this device.`;
    element("checked").textContent = "";
    if (shown !== null && !camera.isOpen) await captionPhoto(shown);
    else if (live) captionLive();
    // Behind the first caption, for nobody waits for it.
    checkItself(captioner);
  } finally {
    element("loading").hidden = true;
  }
}

/** @param {import("./remote.js").Captioner} captioner */
async function checkItself(captioner) {
  const told = await captioner.check().then(
    ({ passed, sentence }) => (passed === null ? "" : `Checked: ${sentence}.`),
    (error) => `Checked: ${error.message}`,
  );
  // It may have been replaced, and closed, meanwhile.
  if (captioner === (await captioners.current())) element("checked").textContent = told;
}

function listShipped() {
  select.replaceChildren(
    ...shipped.map(({ name, recipe, bytes }, place) => {
      const label = `${name}, ${recipe}, ${(bytes / 1e6).toFixed(1)} MB`;
      return new Option(label, String(place));
    }),
  );
  const before = shipped.findIndex(({ file }) => file.split("?")[0] === Captioners.remembered);
  select.selectedIndex = Math.max(0, before);
}

/** @param {File} file */
async function openOwn(file) {
  const before = select.selectedIndex;
  await attempt(async () => {
    await useCaptioner(() => captioners.load(file));
    const option = new Option(file.name, "own", true, true);
    select.querySelector("option[value=own]")?.remove();
    select.append(option);
  });
  if (select.value !== "own") select.selectedIndex = before;
}

/* Photographs */

/** @param {DataTransfer | null} data */
function dropped(data) {
  const file = data?.files[0];
  if (file === undefined) return;
  if (file.name.endsWith(".tflite")) openOwn(file);
  else captionPhoto(file);
}

async function listSamples() {
  const response = await fetch("samples.json");
  const samples = response.ok ? await response.json() : [];
  const list = element("samples").querySelector("ul");
  for (const { file, label } of samples) {
    const button = document.createElement("button");
    button.type = "button";
    const image = new Image(160, 160);
    image.src = file;
    image.alt = label;
    button.append(image);
    button.addEventListener("click", () =>
      attempt(async () => captionPhoto(await (await fetch(file)).blob())),
    );
    const item = document.createElement("li");
    item.append(button);
    list?.append(item);
  }
  element("samples").hidden = samples.length === 0;
}

/* The camera */

async function openCamera() {
  await attempt(async () => {
    await camera.open();
    turn += 1;
    say("", false);
    element("caption-actions").hidden = true;
    show("video");
    element("turn").hidden = !(await camera.hasOther());
    element("take").focus();
  });
}

function closeCamera() {
  setLive(false);
  camera.close();
  show(shown === null ? "empty" : "photo");
}

/** @param {boolean} on */
function setLive(on) {
  live = on;
  element("live").ariaPressed = String(on);
  if (on) captionLive();
}

/* Wiring */

/**
 * @param {string} id
 * @param {() => void} act
 */
const onClick = (id, act) => element(id).addEventListener("click", act);

/**
 * @param {string} id
 * @param {(file: File) => void} act
 */
function onFile(id, act) {
  const input = /** @type {HTMLInputElement} */ (element(id));
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    // Emptied, so that the same file may be chosen again.
    if (file !== undefined) act(file);
    input.value = "";
  });
}

onClick("choose", () => element("file").click());
onFile("file", captionPhoto);
onClick("open", () => element("own").click());
onFile("own", openOwn);
onClick("camera", openCamera);
onClick("stop", closeCamera);
onClick("turn", () => attempt(() => camera.turn()));
onClick("live", () => setLive(!live));
onClick("take", () =>
  attempt(async () => {
    const picture = await camera.picture();
    setLive(false);
    camera.close();
    await captionPhoto(picture);
  }),
);
onClick("speak", () => speak(caption.textContent ?? ""));
onClick("copy", () =>
  attempt(async () => {
    await navigator.clipboard.writeText(caption.textContent ?? "");
    element("copy").textContent = "Copied";
    setTimeout(() => (element("copy").textContent = "Copy"), 1500);
  }),
);
select.addEventListener("change", () => {
  const item = shipped[Number(select.value)];
  if (item !== undefined) attempt(() => useCaptioner(() => captioners.choose(item)));
});
for (const input of document.querySelectorAll("input[name=search]")) {
  input.addEventListener("change", () => shown !== null && !camera.isOpen && captionPhoto(shown));
}
for (const [name, over] of /** @type {const} */ ([
  ["dragenter", true],
  ["dragover", true],
  ["dragleave", false],
  ["drop", false],
])) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    stage.classList.toggle("over", over);
    if (name === "drop") dropped(/** @type {DragEvent} */ (event).dataTransfer);
  });
}
document.addEventListener("paste", (event) => dropped(event.clipboardData));

const offline = await underWorker();
element("offline").textContent = offline
  ? "Kept on this device: works without a network."
  : "Needs the network at each visit: this page did not come by https, or may keep nothing.";
await attempt(async () => {
  shipped = await Captioners.shipped();
  listShipped();
  listSamples();
  const item = shipped[select.selectedIndex];
  if (item === undefined) say("Open a captioner's file to begin.", true);
  else await useCaptioner(() => captioners.choose(item));
});
document.documentElement.dataset.ready = "yes";
