// @ts-check
// Whether the visitor's own GPU may draw: it must have drawn what the server drew, and sooner. One fault, and it may not.

import { state } from "../store.js";
import { drawRequest, wantedOf } from "./request.js";

/** @import { Picture, View, ViewRequest } from "../engine.js" */
/** @import { GpuRenderer, Wanted } from "./renderer.js" */

const MOST_DIFFERENCE = 1; // of 255: what is near a half may be rounded otherwise,
const MOST_STEP = 5; // and what is painted in the colours of a scale gets the next one
const FIRST_SCALES = [1.5, 2.5, 30]; // drawn before time is taken: the browser compiles kernels when they are first used
const FIRST_SIDE = 8; // pixels of these
const TELLING_MS = 40; // a view that the server drew sooner says little about who is quicker
const MOST_SLOW = 2; // methods that the server draws sooner, before no other is tried

export class Trial {
  /** @param {() => Promise<GpuRenderer | null>} open @param {boolean} isForced whether it may be slower than the server */
  constructor(open, isForced) {
    this.open = open;
    this.isForced = isForced;
    this.isOver = false;
    /** @type {Promise<GpuRenderer | null> | null} */
    this.opened = null;
    /** @type {Map<string, boolean>} methods, and their heads: whether they are drawn here */
    this.models = new Map();
    /** @type {WeakMap<Picture, boolean>} whether the server's pictures are got from its very pixels: it may know finer ones */
    this.pictures = new WeakMap();
    /** @type {Picture | null} what the renderer has open */
    this.picture = null;
    this.slow = 0;
    this.isTrying = false; // kernels may be compiled, and views would wait
    this.patience = { first: 60_000, view: 10_000 }; // after so many milliseconds without an answer the device is given up
    this.turn = Promise.resolve(); // one trial after the other
  }

  /** Whether the open picture may be drawn here with a method, or how its heads attend. @param {{model: string, paint?: string}} request */
  trusts(request) {
    return !this.isOver && !this.isTrying && state.picture !== null && this.models.get(subjectOf(request)) === true && this.pictures.get(state.picture) === true;
  }

  /** The renderer, with a picture open; null where there is none. @param {Picture} picture @returns {Promise<GpuRenderer | null>} */
  async renderer(picture) {
    if (this.isOver) return null;
    this.opened ??= this.open();
    const renderer = await this.opened;
    if (!renderer) this.isOver = true;
    else if (this.picture !== picture) {
      this.picture = picture;
      await renderer.open(readPixels(picture.bitmap), [picture.height, picture.width]);
    }
    return renderer;
  }

  /** No more is drawn here, and all memory that it took goes. @param {any} reason */
  end(reason) {
    if (this.isOver) return;
    console.info(`The server draws on: ${reason?.message ?? reason}`);
    this.isOver = true;
    this.opened?.then((renderer) => renderer?.gpu.device.destroy(), () => {});
    this.opened = null;
    this.picture = null;
  }

  /** Draw what the server has drawn, where nothing is known yet of the method or the picture. @param {ViewRequest} request @param {View} view */
  consider(request, view) {
    const { picture } = state;
    const subject = subjectOf(request);
    const isTelling = isPlain(request) ? this.pictures.get(picture) : this.isForced || view.milliseconds >= TELLING_MS;
    if (request.kind !== "exact" || !isTelling) return;
    this.turn = this.turn.then(async () => {
      const isKnown = this.models.has(subject) && this.pictures.has(picture);
      const isRefused = this.models.get(subject) === false || this.pictures.get(picture) === false;
      if (this.isOver || isKnown || isRefused || picture !== state.picture) return;
      this.isTrying = true;
      try {
        await this.compare(request, view, picture);
      } catch (error) {
        if (error.isUnsupported) this.models.set(subject, false);
        else this.end(error);
      } finally {
        this.isTrying = false;
      }
    });
  }

  /** @param {ViewRequest} request @param {View} view @param {Picture} picture */
  async compare(request, view, picture) {
    const renderer = await this.renderer(picture);
    if (!renderer) return;
    const wanted = wantedOf(request, view.size);
    const hasGone = () => picture !== state.picture;
    await this.inTime(renderer, drawFirst(renderer, request, wanted, picture, hasGone), this.patience.first);
    const began = performance.now();
    const isLate = () => !this.isForced && !isPlain(request) && performance.now() - began > view.milliseconds;
    const drawn = await this.inTime(renderer, drawRequest(renderer, request, wanted, () => hasGone() || isLate()));
    if (hasGone()) return;
    if (!drawn) return this.noteSlow(request);
    const isSame = mostDifferent(drawn.pixels, readPixels(view.bitmap)) <= (request.paint ? MOST_STEP : MOST_DIFFERENCE);
    // Of a first difference the picture may be the cause, and not the method.
    if (isSame || this.pictures.get(picture)) this.models.set(subjectOf(request), isSame);
    if (!this.pictures.get(picture)) this.pictures.set(picture, isSame);
  }

  /** @param {ViewRequest} request */
  noteSlow(request) {
    this.models.set(subjectOf(request), false);
    if (!request.paint) this.slow += 1;
    if (this.slow >= MOST_SLOW) this.end("this GPU is slower");
  }

  /**
   * A device that hangs must not keep the picture. One that is at work on others, whose turn comes before, does not hang.
   * @template T @param {GpuRenderer} renderer @param {Promise<T>} work @param {number} [milliseconds] @returns {Promise<T>}
   */
  async inTime({ gpu }, work, milliseconds = this.patience.view) {
    if (this.isForced) return work;
    const began = performance.now();
    let timer = 0;
    const late = new Promise((_, fail) => {
      const look = () => {
        const left = Math.max(began, gpu.answered) + milliseconds - performance.now();
        if (left > 0) timer = window.setTimeout(look, left);
        else fail(new Error("this GPU does not answer"));
      };
      look();
    });
    try {
      return await /** @type {Promise<T>} */ (Promise.race([work, late]));
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What is tried by itself. @param {{model: string, paint?: string}} request */
const subjectOf = ({ model, paint }) => (paint ? `${model}, heads` : model);

/** Whether it is interpolation, which is so quick that only what it makes is compared. @param {ViewRequest} request */
const isPlain = ({ model }) => state.models.get(model)?.kind === "plain";

/** Draw with all kernels that views need, and make the features that this one needs. @param {GpuRenderer} renderer @param {ViewRequest} request @param {Wanted} wanted @param {Picture} picture @param {() => boolean} isOver */
async function drawFirst(renderer, request, wanted, picture, isOver) {
  for (const scale of FIRST_SCALES) {
    const size = /** @type {[number, number]} */ ([Math.round(picture.height * scale), Math.round(picture.width * scale)]);
    await drawRequest(renderer, request, { ...wanted, size, window: middleOf([0, 0, ...size]) }, isOver);
  }
  await drawRequest(renderer, request, { ...wanted, window: middleOf(wanted.window) }, isOver);
}

/** @param {ImageBitmap} bitmap @returns {Uint8ClampedArray} RGBA */
function readPixels(bitmap) {
  const { height, width } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, width, height).data;
}

/** @param {[number, number, number, number]} window @returns {[number, number, number, number]} */
function middleOf([top, left, height, width]) {
  const [rows, columns] = [Math.min(height, FIRST_SIDE), Math.min(width, FIRST_SIDE)];
  return [top + Math.floor((height - rows) / 2), left + Math.floor((width - columns) / 2), rows, columns];
}

/** @param {Uint8ClampedArray} one @param {Uint8ClampedArray} other */
function mostDifferent(one, other) {
  if (one.length !== other.length) return Infinity;
  let most = 0;
  for (let i = 0; i < one.length; i += 1) most = Math.max(most, Math.abs(one[i] - other[i]));
  return most;
}
