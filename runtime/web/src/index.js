/** Captions photographs in the browser with the one-file captioners that `edgecap export` writes. */

export { memoryBytes, startLiteRT } from "./backends/litert.js";
export { readManifest } from "./bundle.js";
export { Captioner, CaptionStream, Timings } from "./captioner.js";
export { BundleError, EdgecapError, ImageError, InterpreterError, OptionError } from "./errors.js";
export { FORMAT_VERSION, Manifest } from "./manifest.js";
export { DecodingOptions } from "./options.js";
export { Preparation, prepare } from "./preparation.js";
