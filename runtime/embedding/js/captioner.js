/**
 * Captions photographs with an .onnx captioner by ONNX Runtime, on Node or in a browser.
 *
 * Both packages speak the same: give `onnxruntime-node` or `onnxruntime-web` as `ort`. Nothing else
 * of edgecap is needed; the photograph comes prepared, as RGB bytes.
 */

/**
 * @typedef {typeof import("onnxruntime-common")} Ort
 * @typedef {{ids: number[], words: string[], text: string}} Caption
 * @typedef {{minWords?: number, maxWords?: number, noRepeatNgram?: number}} Rules
 */

export class OnnxCaptioner {
  /**
   * Open a captioner's file.
   *
   * @param {Ort} ort
   * @param {Uint8Array} bytes The .onnx file.
   * @param {import("onnxruntime-common").InferenceSession.SessionOptions} [options]
   */
  static async load(ort, bytes, options) {
    const entries = readEntries(bytes);
    const about = JSON.parse(textOf(entries, "edgecap.json"));
    if (String(about.format_version).split(".")[0] !== "1") {
      throw new Error(`The file has format version ${about.format_version}; this code reads 1.x.`);
    }
    if (!["step", "prefix"].includes(about.kind)) {
      throw new Error(`The decoder is of kind ${about.kind}; this code runs step and prefix.`);
    }
    const words = textOf(entries, "vocabulary.txt").split("\n");
    if (words.at(-1) === "") words.pop();
    // Products that don't saturate, where the file's own might: see docs/format.md.
    const careful = { extra: { session: { x64quantprecision: "1" } } };
    const needed = about.processor === "any" ? {} : careful;
    const session = await ort.InferenceSession.create(bytes, { ...needed, ...options });
    return new OnnxCaptioner(ort, session, about, words);
  }

  /**
   * @param {Ort} ort
   * @param {import("onnxruntime-common").InferenceSession} session
   * @param {any} about edgecap.json.
   * @param {string[]} words A word's id is its place.
   */
  constructor(ort, session, about, words) {
    this.ort = ort;
    this.session = session;
    this.about = about;
    this.words = words;
    const { height, width } = about.preparation;
    this.noImage = new ort.Tensor("uint8", new Uint8Array(0), [0, height, width, 3]);
    /** @type {Record<string, import("onnxruntime-common").Tensor>} States without rows. */
    this.noState = {};
    for (const { name, shape } of about.state) {
      const none = new ort.Tensor("float32", new Float32Array(0), [0, ...shape]);
      this.noState[`state_${name}`] = none;
    }
  }

  /**
   * Caption a photograph by the search inside the file.
   *
   * @param {Uint8Array} pixels RGB bytes, height x width x 3, as `about.preparation` says.
   * @returns {Promise<Caption>}
   */
  async captionInOneCall(pixels) {
    if (!this.about.one_call) {
      throw new Error("The file holds no search; export it with --one-call, or call caption.");
    }
    const word = this.#word(this.about.vocabulary.start_id);
    const wanted = ["caption_ids", "caption_length"];
    const answer = await this.session.run(this.#start(pixels, word), wanted);
    const [length] = /** @type {Int32Array} */ (answer.caption_length.data);
    const ids = /** @type {Int32Array} */ (answer.caption_ids.data).subarray(0, length);
    return this.#caption([...ids]);
  }

  /**
   * Caption a photograph word by word: greedy search, with the file's rules or others.
   *
   * @param {Uint8Array} pixels As for `captionInOneCall`.
   * @param {Rules} [rules]
   * @param {(word: string) => void} [said] Called with each word as soon as it is known.
   * @returns {Promise<Caption>}
   */
  async caption(pixels, rules = {}, said = () => {}) {
    const { defaults, kind, vocabulary } = this.about;
    const { maxWords = defaults.max_words, ...others } = rules;
    const next = Object.keys(this.noState).map((name) => `next_${name}`);
    const first = await this.session.run(this.#start(pixels, this.#noIds()), next);
    let states = this.#renamed(first);
    const ids = [];
    for (let token = vocabulary.start_id; ids.length < maxWords; ) {
      const feeds = {
        start: new this.ort.Tensor("bool", Uint8Array.of(0), []),
        image: this.noImage,
        ids: kind === "step" ? this.#word(token) : this.#prefix([vocabulary.start_id, ...ids]),
        ...states,
      };
      // A prefix is read anew at each word, with the first state.
      const wanted = kind === "step" ? ["logits", ...next] : ["logits"];
      const answer = await this.session.run(feeds, wanted);
      if (kind === "step") states = this.#renamed(answer);
      token = this.#best(/** @type {Float32Array} */ (answer.logits.data), ids, others);
      if (token === null || token === vocabulary.end_id) break;
      ids.push(token);
      said(this.words[token]);
    }
    return this.#caption(ids);
  }

  /** Free the interpreter's memory. */
  release() {
    return this.session.release();
  }

  /**
   * @param {Uint8Array} pixels
   * @param {import("onnxruntime-common").Tensor} ids None, or the start to have it searched.
   */
  #start(pixels, ids) {
    const { height, width } = this.about.preparation;
    if (pixels.length !== height * width * 3) {
      throw new Error(
        `The photograph has ${pixels.length} bytes; this captioner takes ${height * width * 3} ` +
          `(RGB, ${width} x ${height} pixels).`,
      );
    }
    return {
      start: new this.ort.Tensor("bool", Uint8Array.of(1), []),
      image: new this.ort.Tensor("uint8", pixels, [1, height, width, 3]),
      ids,
      ...this.noState,
    };
  }

  #noIds() {
    const shape = this.about.kind === "step" ? [0] : [0, this.about.prefix.length ?? 0];
    return new this.ort.Tensor("int32", new Int32Array(0), shape);
  }

  /** @param {number} token */
  #word(token) {
    return new this.ort.Tensor("int32", Int32Array.of(token), [1]);
  }

  /** @param {number[]} tokens The start and the words so far. */
  #prefix(tokens) {
    const { length, padding_id, padded, skipped_id } = this.about.prefix;
    const kept = tokens.filter((id) => id !== skipped_id);
    const ids = new Int32Array(length ?? kept.length).fill(padding_id);
    ids.set(kept, padded === "end" ? 0 : ids.length - kept.length);
    return new this.ort.Tensor("int32", ids, [1, ids.length]);
  }

  /** @param {Readonly<Record<string, import("onnxruntime-common").Tensor>>} answer */
  #renamed(answer) {
    /** @type {Record<string, import("onnxruntime-common").Tensor>} */
    const states = {};
    for (const name of Object.keys(this.noState)) states[name] = answer[`next_${name}`];
    return states;
  }

  /**
   * Give the likeliest word that is allowed, the lower id among equals; null where none is.
   *
   * @param {Float32Array} logits
   * @param {number[]} said
   * @param {Rules} rules
   */
  #best(logits, said, rules) {
    const { defaults, vocabulary } = this.about;
    const { minWords = defaults.min_words, noRepeatNgram = defaults.no_repeat_ngram } = rules;
    const forbidden = new Set(vocabulary.never_said);
    if (vocabulary.start_id !== vocabulary.end_id) forbidden.add(vocabulary.start_id);
    for (const id of repeating(said, noRepeatNgram)) forbidden.add(id);
    // The end is no word, so it repeats nothing; it only may come too early.
    if (said.length < minWords) forbidden.add(vocabulary.end_id);
    else forbidden.delete(vocabulary.end_id);
    let best = null;
    for (let id = 0; id < logits.length; id++) {
      if ((best === null || logits[id] > logits[best]) && !forbidden.has(id)) best = id;
    }
    return best;
  }

  /**
   * @param {number[]} ids
   * @returns {Caption}
   */
  #caption(ids) {
    const attached = new Set(this.about.vocabulary.attach_left);
    const words = ids.map((id) => this.words[id]);
    let text = "";
    for (const word of words) text += (text === "" || attached.has(word) ? "" : " ") + word;
    return { ids, words, text };
  }
}

/**
 * Give the words that would end a sequence of n words for a second time.
 *
 * @param {number[]} said
 * @param {number} n
 */
function repeating(said, n) {
  if (n === 0 || said.length < n) return [];
  const last = said.slice(said.length - n + 1);
  return said.filter(
    (_, place) => place >= n - 1 && last.every((id, at) => id === said[place - n + 1 + at]),
  );
}

/**
 * Read the entries of an .onnx file, which ONNX Runtime's JavaScript doesn't give: metadata_props,
 * field 14 of the outermost protobuf message.
 *
 * @param {Uint8Array} bytes
 * @returns {Map<string, string>}
 */
export function readEntries(bytes) {
  const entries = new Map();
  const decoder = new TextDecoder();
  for (const [field, content] of fieldsOf(bytes)) {
    if (field !== 14) continue;
    const parts = new Map(fieldsOf(content));
    const empty = new Uint8Array(0);
    entries.set(decoder.decode(parts.get(1) ?? empty), decoder.decode(parts.get(2) ?? empty));
  }
  return entries;
}

/**
 * @param {Map<string, string>} entries
 * @param {string} name
 */
function textOf(entries, name) {
  const text = entries.get(name);
  if (text === undefined) {
    throw new Error(`The file holds no ${name}; make a captioner with: edgecap export`);
  }
  return text;
}

/**
 * Walk the fields of a protobuf message; give those that have a length, and skip the others.
 *
 * @param {Uint8Array} bytes
 * @returns {Generator<[number, Uint8Array]>}
 */
function* fieldsOf(bytes) {
  let place = 0;
  const varint = () => {
    // Not by shifts, which JavaScript makes in 32 bits: a message may have more bytes.
    for (let value = 0, unit = 1; unit < 2 ** 63; unit *= 128) {
      const byte = bytes[place++];
      if (byte === undefined) break;
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
    throw new Error("The file is truncated or no .onnx model; copy or export it again.");
  };
  while (place < bytes.length) {
    const key = varint();
    const kind = key % 8;
    if (kind === 0) varint();
    else if (kind === 1) place += 8;
    else if (kind === 5) place += 4;
    else if (kind === 2) {
      const length = varint();
      if (place + length > bytes.length) {
        throw new Error("The file is truncated; copy or export it again.");
      }
      yield [Math.floor(key / 8), bytes.subarray(place, place + length)];
      place += length;
    } else {
      throw new Error("The file is no .onnx model; give one that edgecap export wrote.");
    }
  }
}
