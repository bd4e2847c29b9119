import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { constants, deflateRawSync } from "node:zlib";

import { manifestIn, readManifest } from "../../runtime/web/src/bundle.js";
import { BundleError, OptionError } from "../../runtime/web/src/errors.js";
import { crc32 } from "../../runtime/web/src/containers/crc32.js";
import * as limits from "../../runtime/web/src/limits.js";
import { Manifest } from "../../runtime/web/src/manifest.js";
import { GOLDEN, golden, noise } from "./golden.js";

const { head, cases, vocabularies, joined } = golden("manifests");
const WORDS = "<pad> <start> <end> <unk> a dog 's ball runs red on grass".split(" ");
const tiny = (name) => new Uint8Array(readFileSync(new URL(`tiny-${name}.tflite`, GOLDEN)));

/** A file without its checksum: the ZIP's comment is gone. */
function unsealed(file) {
  const bytes = file.slice(0, file.length - 22);
  bytes[bytes.length - 2] = 0;
  return bytes;
}

/**
 * A .tflite with a ZIP of entries { name, packed, method, size, crc, flags, offset }, by hand, for
 * nothing that is well made writes the wrong ones. What isn't given is right.
 */
function withZip(entries, count = entries.length) {
  const pieces = [Buffer.from("\x1c\0\0\0TFL3".padEnd(64, "\0"), "latin1")];
  const directory = [];
  let place = 64;
  for (const { name, packed, method = 0, size = packed.length, flags = 0, ...more } of entries) {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(more.crc ?? crc32(packed), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(name.length, 22);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(more.offset ?? place, 10);
    const local = [Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed];
    directory.push(Buffer.from("PK\x01\x02\x14\0"), common, rest, Buffer.from(name));
    pieces.push(...local);
    place += local.reduce((sum, piece) => sum + piece.length, 0);
  }
  const end = Buffer.alloc(18);
  end.writeUInt16LE(count, 4);
  end.writeUInt16LE(count, 6);
  end.writeUInt32LE(directory.reduce((sum, piece) => sum + piece.length, 0), 8);
  end.writeUInt32LE(place, 12);
  return new Uint8Array(Buffer.concat([...pieces, ...directory, Buffer.from("PK\x05\x06"), end]));
}

/** The entries of a captioner of an older version, which needs no checksum. */
function oldEntries(version = "1.3") {
  const about = { ...head, format_version: version };
  return [
    { name: "vocabulary.txt", packed: Buffer.from(WORDS.join("\n")) },
    { name: "edgecap.json", packed: Buffer.from(JSON.stringify(about)) },
  ];
}

async function refused(bytes, reason = /./) {
  await assert.rejects(manifestIn("x.tflite", bytes), (error) => {
    assert.ok(error instanceof BundleError, error.stack);
    assert.match(error.message, /^x\.tflite[^\n]{9,400}$/);
    assert.match(error.message, reason);
    return true;
  });
}

function manifestOf(changedHead, text) {
  const encoder = new TextEncoder();
  return new Manifest(
    new Map([
      ["edgecap.json", encoder.encode(JSON.stringify(changedHead))],
      ["vocabulary.txt", encoder.encode(text)],
    ]),
  );
}

function verdict(read, legal) {
  if (legal) return read();
  // One sentence, of the kind that says "the file".
  assert.throws(read, (error) => error instanceof BundleError && /^[^\n]+\.?$/.test(error.message));
  return undefined;
}

test("manifests are read and refused as Python does", async (t) => {
  const text = `${WORDS.join("\n")}\n`;
  for (const { change, head: changed, legal } of cases) {
    await t.test(`${change}: ${legal ? "legal" : "refused"}`, () =>
      verdict(() => manifestOf(changed, text), legal),
    );
  }
  for (const { change, text: changed, legal } of vocabularies) {
    await t.test(`${change}: ${legal ? "legal" : "refused"}`, () =>
      verdict(() => manifestOf(head, changed), legal),
    );
  }
});

test("words are joined as Python joins them", () => {
  const { vocabulary } = manifestOf(head, WORDS.join("\n"));
  for (const { words, text } of joined) assert.equal(vocabulary.join(words), text);
});

test("a file's own words are read from the ZIP at its end", async () => {
  const manifest = await readManifest(new Blob([tiny("step")]));
  assert.deepEqual(manifest.vocabulary.words, WORDS);
  assert.equal(manifest.name, "tiny");
  assert.deepEqual(manifest.preparation.height, 8);
  assert.deepEqual(manifest.state, [{ name: "h", shape: [6], dtype: "float32" }]);
  assert.equal(manifest.parity.verdict, "checked on 0");
  const { prefix } = await readManifest(tiny("fixed"));
  assert.deepEqual({ ...prefix }, { length: 8, paddingId: 0, padded: "start", skippedId: null });
});

test("a prefix is filled and skipped as Python does", async () => {
  const { prefix: fixed } = await readManifest(tiny("fixed"));
  assert.deepEqual([...fixed.ids([1, 4, 0])], [0, 0, 0, 0, 0, 1, 4, 0]);
  const { prefix: bare } = await readManifest(tiny("bare"));
  assert.deepEqual([...bare.ids([1, 0, 4, 0, 5])], [1, 4, 5]);
});

test("options are checked, and what isn't given is the file's own", async () => {
  const manifest = await readManifest(tiny("fixed"));
  assert.equal(manifest.decoding({}).maxWords, 8);
  assert.equal(manifest.decoding({ beam: 1, maxWords: undefined }).beam, 1);
  for (const choices of [
    { beam: 0 },
    { beam: 65 },
    { beam: "3" },
    { nBest: 4 },
    { maxWords: 9 },
    { minWords: 9 },
    { lengthPenalty: NaN },
    { beams: 3 },
  ]) {
    assert.throws(() => manifest.decoding(choices), OptionError, JSON.stringify(choices));
  }
});

test("files that are no captioner are refused with one sentence", async () => {
  const file = tiny("step");
  const cut = file.subarray(0, file.length - 30);
  const damaged = file.slice();
  const place = Buffer.from(file).indexOf("vocabulary.txt") + 20;
  damaged[place] ^= 0xff;
  for (const [bytes, reason] of [
    [new Uint8Array(), /x\.tflite is empty \(0 bytes\)/],
    [new TextEncoder().encode("<!doctype html> not found"), /x\.tflite is no \.tflite model/],
    [cut, /without edgecap's entries, or is truncated/],
    [file.subarray(0, file.length - 3), /x\.tflite is damaged: its end was overwritten, cut or written behind/],
    [damaged, /x\.tflite is damaged: its checksum is not that of its bytes/],
    [unsealed(file), /x\.tflite is damaged .* lacks the checksum that its format version has/],
    [unsealed(damaged), /without edgecap's entries, or is truncated/],
  ]) {
    await assert.rejects(manifestIn("x.tflite", bytes), (error) => {
      assert.ok(error instanceof BundleError);
      assert.match(error.message, reason);
      return true;
    });
  }
});

test("every cut of a file is refused", async () => {
  const file = tiny("step");
  for (let length = 0; length < file.length; length += 61) {
    await assert.rejects(manifestIn("x", file.subarray(0, length)), BundleError);
  }
});

test("CRC-32 is zlib's", () => {
  for (const { size, first, crc32: wanted } of golden("checksums").cases) {
    assert.equal(crc32(noise(size, 1, 1, first)), wanted, `${size} from ${first}`);
    // Where it begins in its buffer makes no difference.
    const behind = new Uint8Array(size + 3);
    behind.set(noise(size, 1, 1, first), 3);
    assert.equal(crc32(behind.subarray(3)), wanted);
  }
});

test("no flipped bit of a file goes unnoticed", async () => {
  const file = tiny("step");
  for (let index = 0; index < file.length; index++) {
    const near = index < 300 || index > file.length - 300;
    for (let bit = 0; bit < 8; bit += near ? 1 : 5) {
      const damaged = file.slice();
      damaged[index] ^= 1 << bit;
      await assert.rejects(manifestIn("x", damaged), BundleError, `bit ${bit} of byte ${index}`);
    }
  }
});

test("no other end of a file goes unnoticed", async () => {
  const file = tiny("step");
  for (let index = file.length - 46; index < file.length; index++) {
    for (let value = 0; value < 256; value++) {
      if (value === file[index]) continue;
      const damaged = file.slice();
      damaged[index] = value;
      await refused(damaged);
    }
  }
  for (const more of [[0], [10], [...file.subarray(-8)], new Uint8Array(100_000), file]) {
    await refused(Uint8Array.from([...file, ...more]));
    await refused(Uint8Array.from([...file.subarray(0, 50), ...more, ...file.subarray(50)]));
  }
  for (let length = file.length - 700; length < file.length; length++) {
    await refused(file.subarray(0, length));
  }
});

test("whole files of older versions are read without a checksum", async () => {
  const { formatVersion } = await manifestIn("x.tflite", withZip(oldEntries()));
  assert.equal(formatVersion, "1.3");
  for (const version of ["1.4", "1.5", "1.10"]) {
    await refused(withZip(oldEntries(version)), /lacks the checksum/);
  }
  const check = { name: "check.json", packed: Buffer.from("{}") };
  await refused(withZip([...oldEntries(), check]), /lacks the checksum/);
});

test("what is too large is refused before it is unpacked", async () => {
  const good = oldEntries();
  const file = (name, packed, more) => withZip([...good, { name, packed, ...more }]);
  const nothing = Buffer.alloc(0);
  const many = Array.from({ length: limits.ENTRIES + 1 }, (_, number) => ({
    name: `${number}`,
    packed: nothing,
  }));
  const half = Buffer.alloc(limits.ENTRIES_BYTES / 2 - 99);
  for (const [bytes, reason] of [
    [withZip(many), /1001 entries/],
    [withZip([...good, ...good]), /two entries of one name/],
    [file("large", Buffer.alloc(limits.ENTRY_BYTES + 1)), /16777217 bytes/],
    [withZip([...good, ...["a", "b", "c"].map((name) => ({ name, packed: half }))]), /together/],
    [file("n".repeat(limits.ENTRY_NAME_BYTES + 1), nothing), /name takes 257 bytes/],
    [file("secret", nothing, { flags: 1 }), /encrypted/],
    [file("other", nothing, { method: 12 }), /another way than by deflate/],
    [file("shared", nothing, { offset: 64, size: 12 }), /truncated/],
    [file("lying", Buffer.from("abc"), { size: 4 }), /truncated/],
    [file("outside", nothing, { offset: 2 ** 32 - 1 }), /truncated/],
    [withZip(good, 3), /truncated/],
    [withZip(good, 1), /truncated/],
  ]) {
    await refused(bytes, reason);
  }
});

test("an entry of 3 GB takes neither time nor memory", async () => {
  const { Z_FULL_FLUSH } = constants;
  const piece = deflateRawSync(Buffer.alloc(2 ** 24), { level: 9, finishFlush: Z_FULL_FLUSH });
  const packed = Buffer.concat([...Array(192).fill(piece), Buffer.from([3, 0])]);
  const begun = performance.now();
  const before = process.memoryUsage().rss;
  for (const size of [3 * 2 ** 30, limits.ENTRY_BYTES, 1000]) {
    await refused(withZip([...oldEntries(), { name: "bomb", packed, method: 8, size }]));
  }
  assert.ok(performance.now() - begun < 3000, `${performance.now() - begun} ms`);
  const grown = (process.memoryUsage().rss - before) / 1e6;
  assert.ok(grown < 150, `${grown} MB`);
});

test("JSON is read within limits", () => {
  const text = `${WORDS.join("\n")}\n`;
  const { source, ...others } = head;
  const with_ = (more) => JSON.stringify(others).replace(/}$/, `,"source":${more}}`);
  const read = (json) =>
    new Manifest(
      new Map([
        ["edgecap.json", new TextEncoder().encode(json)],
        ["vocabulary.txt", new TextEncoder().encode(text)],
      ]),
    );
  assert.deepEqual(read(with_(JSON.stringify(source))).source, source);
  for (const json of [
    "[".repeat(100_000),
    `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`,
    with_(`{"a":${"[".repeat(70)}${"]".repeat(70)}}`),
    with_('{"a":1e999}'),
    with_('{"a":[-1e999]}'),
    with_('{"a":NaN}'),
    with_(`${" ".repeat(limits.JSON_BYTES)}{}`),
    "1",
    "null",
    "[]",
    "",
  ]) {
    assert.throws(
      () => read(json),
      (error) => error instanceof BundleError && /^edgecap\.json[^\n]{9,300}$/.test(error.message),
      json.slice(0, 30),
    );
  }
  const lines = new Map([
    ["edgecap.json", new TextEncoder().encode(JSON.stringify(head))],
    ["vocabulary.txt", new Uint8Array(limits.ENTRY_BYTES).fill(10)],
  ]);
  assert.throws(() => new Manifest(lines), /more than 262144 words/);
});
