/**
 * Runs a .tflite captioner: its two signatures in LiteRT.js, on the processor (WebAssembly).
 *
 * They are `encode` and one with the name of the decoder's kind. LiteRT.js can't resize a graph's
 * rows, so a row is one call. Every tensor is freed by hand: its memory is WebAssembly's.
 */

import { Tensor, getGlobalLiteRt, loadAndCompile, loadLiteRt, supportsFeature } from "@litertjs/core";

import { BundleError, EdgecapError, InterpreterError, OptionError, firstLine } from "../errors.js";

/** @typedef {import("@litertjs/core").CompiledModel} CompiledModel */
/** @typedef {import("@litertjs/core").SignatureRunner} SignatureRunner */
/** @typedef {import("../kinds.js").Row} Row */
/** @typedef {import("../manifest.js").Manifest} Manifest */

/** @typedef {{shape: readonly (number | null)[], dtype: string}} Wanted null: any size. */

const MOST_THREADS = 4;

/** @type {Promise<number> | undefined} */
let started;

/** LiteRT.js' script with threads, which starts itself in each of them. */
const THREADED = "litert_wasm_threaded_internal.js";

/**
 * Load LiteRT.js, once for a page or a worker; give the number of its threads.
 *
 * threads: 1, or more where the page is cross-origin isolated and the browser has relaxed SIMD;
 * undefined for as many as that allows, at most 4. Throws `OptionError` for a number that can't be
 * had, `InterpreterError` where LiteRT.js doesn't load.
 *
 * @param {{threads?: number, wasm?: string | URL}} [options] wasm: address of the folder that holds
 *   LiteRT.js' WebAssembly; by default it is looked for beside `@litertjs/core`.
 * @returns {Promise<number>}
 */
export async function startLiteRT({ threads, wasm } = {}) {
  const most = await threadsPossible();
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 1)) {
    throw new OptionError(`threads is ${threads}; give a whole number of at least 1.`);
  }
  if (threads !== undefined && threads > 1 && most === 1) {
    throw new OptionError(
      `threads is ${threads}, but this page has 1: more need cross-origin isolation (the headers ` +
        "Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy) and relaxed SIMD.",
    );
  }
  const wanted = threads ?? most;
  started ??= load(wanted > 1, wasm).then(() => wanted);
  try {
    const before = await started;
    if (threads !== undefined && threads > 1 && before === 1) {
      throw new OptionError(
        `threads is ${threads}, but LiteRT.js was loaded on this page with 1 and stays so; load ` +
          "the first captioner with more.",
      );
    }
    return threads ?? before;
  } catch (error) {
    if (!(error instanceof OptionError)) started = undefined;
    throw error;
  }
}

/** Give the number of threads that LiteRT.js may have on this page. */
async function threadsPossible() {
  const isolated = globalThis.crossOriginIsolated === true;
  if (!isolated || !(await supportsFeature("relaxedSimd"))) return 1;
  return (await supportsFeature("threads")) ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
}

/**
 * @param {boolean} threads
 * @param {string | URL} [wasm]
 */
async function load(threads, wasm) {
  let folder = String(wasm ?? "");
  try {
    if (wasm === undefined) {
      folder = new URL("../wasm/", import.meta.resolve("@litertjs/core")).href;
    }
    if (globalThis.document === undefined) tellAddresses(folder);
    await loadLiteRt(folder, { threads });
  } catch (error) {
    // A script that is not there is reported by an event that says nothing.
    const reason = error instanceof Error ? ` (${firstLine(error)})` : "";
    throw new InterpreterError(
      `LiteRT.js does not load from ${folder}${reason}; serve the folder wasm of @litertjs/core ` +
        "there, and check that the browser has WebAssembly with SIMD.",
    );
  }
}

/**
 * Tell the script of LiteRT.js where it is: it asks the script element, which a worker hasn't.
 *
 * @param {string} folder
 */
function tellAddresses(folder) {
  const base = new URL(folder.endsWith("/") ? folder : `${folder}/`, globalThis.location.href).href;
  /** @type {any} */ (globalThis).Module = {
    locateFile: (/** @type {string} */ name) => base + name,
    mainScriptUrlOrBlob: base + THREADED,
  };
}

/** A captioner in LiteRT.js. */
export class LiteRTBackend {
  #name;
  #manifest;
  /** @type {CompiledModel | undefined} */
  #model;
  #encode;
  #decode;

  /**
   * Open a captioner's file; `startLiteRT` comes first. Throws `BundleError`.
   *
   * @param {string} name The file's name, for messages.
   * @param {Uint8Array} bytes
   * @param {Manifest} manifest
   * @param {number} threads
   * @returns {Promise<LiteRTBackend>}
   */
  static async open(name, bytes, manifest, threads) {
    let model;
    try {
      // The declarations don't know `cpuOptions`; the code does.
      const options = { accelerator: "wasm", cpuOptions: { numThreads: threads } };
      model = await loadAndCompile(bytes, /** @type {any} */ (options));
    } catch (error) {
      throw new BundleError(
        `${name} does not load in LiteRT.js (${firstLine(error)}); copy or export the captioner ` +
          "again.",
      );
    }
    try {
      return new LiteRTBackend(name, manifest, model);
    } catch (error) {
      model.delete();
      throw error;
    }
  }

  /**
   * @param {string} name
   * @param {Manifest} manifest
   * @param {CompiledModel} model
   */
  constructor(name, manifest, model) {
    this.#name = name;
    this.#manifest = manifest;
    this.#model = model;
    for (const key of ["encode", manifest.kind]) {
      if (!Object.hasOwn(model.signatures, key)) {
        throw new BundleError(
          `${name} has no signature '${key}' (it has ${Object.keys(model.signatures).join(", ")}); ` +
            "export the captioner again.",
        );
      }
    }
    this.#encode = model.signatures["encode"];
    this.#decode = model.signatures[manifest.kind];
    this.#check();
  }

  /**
   * Give the first state of an image.
   *
   * @param {Uint8Array} image RGB pixels, [height, width, 3].
   * @returns {Promise<Row["state"]>}
   */
  async encode(image) {
    const { height, width } = this.#manifest.preparation;
    const outputs = await this.#run(this.#encode, {
      image: { data: image, shape: [1, height, width, 3] },
    });
    return Object.fromEntries(
      this.#manifest.state.map(({ name }) => [
        name,
        /** @type {Float32Array} */ (outputs[`state_${name}`]),
      ]),
    );
  }

  /**
   * Run the decoder for one row: logits [V] and the next state.
   *
   * @param {Row} row
   * @returns {Promise<{logits: Float32Array, state: Row["state"]}>}
   */
  async step({ words, state }) {
    const { kindRules, prefix, state: tensors } = this.#manifest;
    const ids = kindRules.ids(prefix, words);
    const idsShape = kindRules.idsShape(prefix).length === 1 ? [1] : [1, ids.length];
    /** @type {Record<string, {data: Int32Array | Float32Array, shape: number[]}>} */
    const inputs = { ids: { data: ids, shape: idsShape } };
    for (const { name, shape } of tensors) {
      inputs[`state_${name}`] = { data: state[name], shape: [1, ...shape] };
    }
    const outputs = await this.#run(this.#decode, inputs);
    const logits = /** @type {Float32Array} */ (outputs.logits);
    if (!kindRules.carries) return { logits, state };
    const following = Object.fromEntries(
      tensors.map(({ name }) => [
        name,
        /** @type {Float32Array} */ (outputs[`next_state_${name}`]),
      ]),
    );
    return { logits, state: following };
  }

  /** Free the interpreter. */
  close() {
    this.#model?.delete();
    this.#model = undefined;
  }

  /**
   * @param {SignatureRunner} signature
   * @param {Record<string, {data: Uint8Array | Int32Array | Float32Array, shape: number[]}>} inputs
   */
  async #run(signature, inputs) {
    if (this.#model === undefined) {
      throw new EdgecapError("This Captioner is closed; load it again with Captioner.load().");
    }
    /** @type {Tensor[]} */
    const tensors = [];
    try {
      for (const { name } of signature.getInputDetails()) {
        const { data, shape } = inputs[name];
        tensors.push(new Tensor(/** @type {Uint8Array<ArrayBuffer>} */ (data), shape));
      }
      const given = await called(signature, tensors);
      tensors.push(...given);
      return Object.fromEntries(
        signature.getOutputDetails().map(({ name }, place) => [name, given[place].toTypedArray()]),
      );
    } catch (error) {
      throw new BundleError(
        `${this.#name}: LiteRT.js failed in ${signature.key} (${firstLine(error)}); export the ` +
          "captioner again.",
      );
    } finally {
      for (const tensor of tensors) tensor.delete();
    }
  }

  #check() {
    const { preparation, state, vocabulary, kindRules, prefix, kind } = this.#manifest;
    const states = Object.fromEntries(
      state.map(({ name, shape, dtype }) => [name, { shape: [1, ...shape], dtype }]),
    );
    const idsShape = kindRules.idsShape(prefix);
    this.#require("encode", "takes", this.#encode.getInputDetails(), {
      image: { shape: [1, preparation.height, preparation.width, 3], dtype: "uint8" },
    });
    this.#require("encode", "gives", this.#encode.getOutputDetails(), named("state_", states));
    this.#require(kind, "takes", this.#decode.getInputDetails(), {
      ids: { shape: [1, ...idsShape.slice(1)], dtype: "int32" },
      ...named("state_", states),
    });
    this.#require(kind, "gives", this.#decode.getOutputDetails(), {
      logits: { shape: [1, vocabulary.size], dtype: "float32" },
      ...(kindRules.carries ? named("next_state_", states) : {}),
    });
    const ids = this.#decode.getInputDetails().find(({ name }) => name === "ids");
    if (idsShape.at(-1) === null && idsShape.length === 2 && ids?.shape.at(-1) !== OPEN) {
      throw new BundleError(
        `${this.#name} has a decoder for prefixes of any length, written so that LiteRT.js can't ` +
          "resize it; export the captioner again with this version of edgecap.",
      );
    }
  }

  /**
   * @param {string} signature
   * @param {string} verb
   * @param {readonly import("@litertjs/core").TensorDetails[]} details
   * @param {Record<string, Wanted>} wanted
   */
  #require(signature, verb, details, wanted) {
    for (const [name, { shape, dtype }] of Object.entries(wanted)) {
      const found = details.find((item) => item.name === name);
      const fits =
        found !== undefined &&
        found.dtype === dtype &&
        found.shape.length === shape.length &&
        shape.every((side, place) => side === null || side === found.shape[place]);
      if (!fits) {
        const text = found === undefined ? "none" : `${found.dtype} [${found.shape.join(", ")}]`;
        const sides = shape.map((side) => side ?? "any").join(", ");
        throw new BundleError(
          `${this.#name}: its signature ${signature} ${verb} ${name} as ${text} where ${dtype} ` +
            `[${sides}] belongs; export the captioner again.`,
        );
      }
    }
  }
}

/** How a graph's description gives a size that is open. */
const OPEN = -1;

/**
 * @param {string} prefix
 * @param {Record<string, Wanted>} tensors
 */
function named(prefix, tensors) {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, wanted]) => [prefix + name, wanted]),
  );
}

/**
 * Call a signature; the caller frees what it gives.
 *
 * `SignatureRunner.run` refuses a tensor whose size the graph leaves open (2.5.3), though the call
 * below it resizes the graph to the tensor. So such a graph is called there, by fields that
 * LiteRT.js' declarations call private: its version is pinned.
 *
 * @param {SignatureRunner} signature
 * @param {Tensor[]} inputs
 * @returns {Promise<Tensor[]>}
 */
async function called(signature, inputs) {
  if (!signature.getInputDetails().some(({ shape }) => shape.includes(OPEN))) {
    return signature.run(inputs);
  }
  const { liteRtCompiledModel, signatureIndex, options } = /** @type {any} */ (signature);
  /** @type {any[]} */
  const buffers = await liteRtCompiledModel.run(
    signatureIndex,
    inputs.map((tensor) => tensor.liteRtTensorBuffer),
  );
  return buffers.map((buffer) => new Tensor(buffer, options.environment));
}

/** Give the size of LiteRT.js' memory in bytes; it grows and never shrinks. */
export function memoryBytes() {
  return /** @type {any} */ (getGlobalLiteRt()).liteRtWasm.HEAPU8.byteLength;
}
