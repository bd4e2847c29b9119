/* What the tests of the library need in the page. */

globalThis.sha256 = async (pixels) => {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", pixels));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

/* The pictures of `tiny_captions` in make_golden.py. */
globalThis.tinyImage = (width, height, first) => {
  const image = new ImageData(width, height);
  const more = [first * 2, 120 - first, first];
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const noise = Math.imul(pixel * 3 + channel + first, 0x9e3779b1) >>> 24;
      image.data[pixel * 4 + channel] = ((noise >> 1) + more[channel]) & 255;
    }
    image.data[pixel * 4 + 3] = 255;
  }
  return image;
};

/* Give a captioner's file with other values in its manifest, in a ZIP of stored entries
   with the checksum as its comment. */
globalThis.withManifest = async (file, changes) => {
  const { read } = await import("/src/containers/flatbuffer_zip.js");
  const entries = await read("The file", file);
  const text = new TextDecoder().decode(entries.get("edgecap.json"));
  const head = { ...JSON.parse(text), ...changes };
  entries.set("edgecap.json", new TextEncoder().encode(JSON.stringify(head)));
  const start = Array.from(file.keys()).find(
    (place) => file[place] === 0x50 && file[place + 1] === 0x4b && file[place + 2] === 3,
  );
  const parts = [file.subarray(0, start)];
  const directory = [];
  let place = start;
  for (const [name, content] of entries) {
    const label = new TextEncoder().encode(name);
    const record = (size, fields) => {
      const bytes = new Uint8Array(size + label.length);
      const view = new DataView(bytes.buffer);
      for (const [at, value] of fields) view.setUint32(at, value, true);
      bytes.set(label, size);
      return bytes;
    };
    const [crc, size] = [globalThis.crc32(content), content.length];
    const local = record(30, [[0, 0x04034b50], [14, crc], [18, size], [22, size], [26, label.length]]);
    parts.push(local, content);
    directory.push(
      record(46, [[0, 0x02014b50], [16, crc], [20, size], [24, size], [28, label.length], [42, place]]),
    );
    place += local.length + size;
  }
  const comment = new TextEncoder().encode("edgecap-crc32:");
  const end = new DataView(new ArrayBuffer(22));
  const size = directory.reduce((sum, item) => sum + item.length, 0);
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, entries.size, true);
  end.setUint16(10, entries.size, true);
  end.setUint32(12, size, true);
  end.setUint32(16, place, true);
  end.setUint16(20, comment.length + 8, true);
  const made = new Blob([...parts, ...directory, end, comment, "00000000"]);
  return globalThis.checksummed(new Uint8Array(await made.arrayBuffer()));
};

/* Write the checksum of a file's bytes as its last 8, in place. */
globalThis.checksummed = (file) => {
  const sum = globalThis.crc32(file.subarray(0, -8));
  file.set(new TextEncoder().encode(sum.toString(16).padStart(8, "0")), file.length - 8);
  return file;
};

globalThis.crc32 = (content) => {
  let value = 0xffffffff;
  for (const byte of content) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  }
  return (value ^ 0xffffffff) >>> 0;
};
