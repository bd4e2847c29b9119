/** The camera's picture in a video element. */

const REASONS = /** @type {Record<string, string>} */ ({
  NotAllowedError:
    "The camera may not be used by this page; allow it in the browser's settings, or choose a " +
    "photograph.",
  NotFoundError: "No camera was found; choose a photograph instead.",
  NotReadableError: "The camera is in use by another program; close that one and try again.",
  OverconstrainedError: "No camera was found; choose a photograph instead.",
});

/** Why there is no picture; its message is for the user. */
export class CameraError extends Error {}

/** One camera, shown in a video element while it is open. */
export class Camera {
  #video;
  /** @type {MediaStream | null} */
  #stream = null;
  #facing = "environment";

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.#video = video;
  }

  get isOpen() {
    return this.#stream !== null;
  }

  /** Show the camera's picture; throws `CameraError`. */
  async open() {
    this.close();
    if (navigator.mediaDevices === undefined) {
      throw new CameraError(
        "This page has no camera, for it did not come by https; choose a photograph instead.",
      );
    }
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: this.#facing, width: { ideal: 1280 } },
      });
      this.#video.srcObject = this.#stream;
      await this.#video.play();
    } catch (error) {
      this.close();
      const name = error instanceof Error ? error.name : "";
      throw new CameraError(
        REASONS[name] ?? `The camera doesn't start (${name}); choose a photograph instead.`,
      );
    }
  }

  /** Tell whether there is another camera to turn to. */
  async hasOther() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput").length > 1;
  }

  /** Show the camera on the other side. */
  async turn() {
    this.#facing = this.#facing === "environment" ? "user" : "environment";
    await this.open();
  }

  /**
   * Give the present picture, in full size.
   *
   * @returns {Promise<Blob>}
   */
  async picture() {
    const canvas = document.createElement("canvas");
    canvas.width = this.#video.videoWidth;
    canvas.height = this.#video.videoHeight;
    canvas.getContext("2d")?.drawImage(this.#video, 0, 0);
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => {
        if (blob === null) reject(new CameraError("The camera gave no picture; try again."));
        else resolve(blob);
      }, "image/png");
    });
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }
}
