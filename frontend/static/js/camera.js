/** Reads QR codes by the camera. What is wrong with a camera, the page tells: it knows the DOMException by its name. */

/**
 * @typedef {{detect(image: HTMLCanvasElement): Promise<{rawValue: string}[]>}} Detector
 * @typedef {{new (options: {formats: string[]}): Detector, getSupportedFormats(): Promise<readonly string[]>}} Detectors
 */

/** Any camera will do where there is none at the rear. */
const WANTED = { video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } };
const CODES = { formats: [/** @type {const} */ ("qr_code")] };
const LOOK_EVERY = 125;
const OUT_OF_SIGHT = 2_000;
/** Pixels of the longer side of what is looked at, upright or not. */
const LONGEST = 640;

/**
 * Shows what the camera sees in `video` and reports the codes in it. A code is reported again only after another one or when it
 * has been out of sight for two seconds; of several in sight, one at a time. While the page is hidden the camera rests.
 *
 * Rejects with what getUserMedia rejects with (`NotAllowedError`, `NotFoundError`, `NotReadableError`; Media Capture and Streams,
 * 10.2), with a `SecurityError` on a page without TLS, where browsers have no cameras, and with a TypeError if there is no
 * connection over which the detector could be loaded.
 * @param {HTMLVideoElement} video
 * @param {(text: string) => void} onCode
 * @returns {Promise<() => void>} ends it and switches the camera off
 */
export async function scan(video, onCode) {
  if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
  const stream = await navigator.mediaDevices.getUserMedia(WANTED);
  const stopped = new AbortController();
  // Without both, iOS plays full screen or not at all.
  video.playsInline = true;
  video.muted = true;
  video.srcObject = stream;
  document.addEventListener("visibilitychange", follow, { signal: stopped.signal });
  follow();
  try {
    look(video, await detector(), once(onCode), stopped.signal);
  } catch (error) {
    stop();
    throw error;
  }
  return stop;

  /** Plays while somebody can see it. */
  function follow() {
    const visible = document.visibilityState === "visible";
    for (const track of stream.getTracks()) track.enabled = visible;
    if (visible) void video.play().catch(() => {});
    else video.pause();
  }

  function stop() {
    stopped.abort();
    for (const track of stream.getTracks()) track.stop();
    if (video.srcObject === stream) video.srcObject = null;
  }
}

/** The browser's own where it can read QR codes, as on most Android phones; else the bundled one, which nobody else loads. */
async function detector() {
  const { BarcodeDetector: Own } = /** @type {{BarcodeDetector?: Detectors}} */ (globalThis);
  const formats = (await Own?.getSupportedFormats().catch(() => [])) ?? [];
  return Own && formats.includes("qr_code") ? new Own(CODES) : bundled();
}

/** @returns {Promise<Detector>} */
async function bundled() {
  const { BarcodeDetector } = await import("../vendor/qr.js");
  return new BarcodeDetector(CODES);
}

/**
 * Looks at the picture again and again; one look is over before the next begins.
 * @param {HTMLVideoElement} video
 * @param {Detector} detector
 * @param {(texts: string[]) => void} seen
 * @param {AbortSignal} signal
 */
function look(video, detector, seen, signal) {
  const canvas = document.createElement("canvas");
  let looked = -Infinity;
  next();

  function next() {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(frame);
    else requestAnimationFrame(frame);
  }

  async function frame() {
    if (signal.aborted) return;
    try {
      if (performance.now() - looked < LOOK_EVERY) return;
      looked = performance.now();
      draw(video, canvas);
      const texts = await read();
      if (!signal.aborted) seen(texts);
    } finally {
      next();
    }
  }

  async function read() {
    const codes = await detector.detect(canvas).catch(async () => {
      // Some devices offer a detector whose service is not installed.
      detector = await bundled();
      return detector.detect(canvas);
    });
    return codes.map((code) => code.rawValue).filter(Boolean);
  }
}

/**
 * @param {HTMLVideoElement} video
 * @param {HTMLCanvasElement} canvas
 */
function draw(video, canvas) {
  const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d", { willReadFrequently: true })?.drawImage(video, 0, 0, canvas.width, canvas.height);
}

/**
 * Takes what each look has seen and reports a code when it comes into sight. It is out of sight only once a look has missed it,
 * so that neither a slow device nor a hidden page makes a code new.
 * @param {(text: string) => void} onCode
 * @returns {(texts: string[]) => void}
 */
function once(onCode) {
  let last = "";
  let missed = /** @type {number | undefined} */ (undefined);
  return (texts) => {
    const now = performance.now();
    const text = texts.includes(last) ? last : texts[0];
    if (!text) {
      missed ??= now;
      return;
    }
    const known = text === last && (missed === undefined || now - missed < OUT_OF_SIGHT);
    last = text;
    missed = undefined;
    if (!known) onCode(text);
  };
}
