// @ts-check
// The visitor's own GPU as an engine in front of the server's: views, heads and looks of the methods that it draws as the
// server does, and sooner. All else, and everything after a fault, is passed on.

import { attendByDistance } from "../attention.js";
import { roundHalfEven } from "../numbers.js";
import { state } from "../store.js";
import { drawRequest, wantedOf } from "./request.js";
import { Trial } from "./trial.js";

/** @import { Engine, Failure, PixelRequest, Progress, Seen, View, ViewRequest } from "../engine.js" */
/** @import { Size } from "../numbers.js" */
/** @import { Wanted } from "./renderer.js" */

const REMIND_MS = 60_000; // a server forgets visitors who ask nothing for long

/**
 * A trial of the visitor's GPU. What draws is asked for when it begins.
 * @param {string} base address of the weights, see weights.js @param {boolean} isForced whether software may draw, and what is slower than the server
 */
export const tryGpu = (base, isForced) =>
  new Trial(async () => {
    const [{ Gpu }, { GpuRenderer }] = await Promise.all([import("./device.js"), import("./renderer.js")]);
    const gpu = await Gpu.open({ software: isForced });
    return gpu && new GpuRenderer(gpu, base);
  }, isForced);

/** @param {Engine} behind @param {Trial} trial @returns {Engine} */
export function gpuEngine(behind, trial) {
  let urgent = 0; // views under way that others make way for
  let heard = performance.now(); // when the server was asked last
  /** @type {Map<ViewRequest, number>} */
  const shares = new Map();

  /** Whether it is a kind of view that is drawn here. @param {ViewRequest} request */
  const isOurs = ({ error, paint }) => !error && paint !== "returned";

  /** @param {ViewRequest} request @param {() => boolean} isOver @returns {Promise<View | Failure | null>} */
  async function view(request, isOver) {
    if (isOurs(request) && trial.trusts(request)) {
      try {
        return await drawView(request, isOver);
      } catch (error) {
        trial.end(error);
      }
    }
    const { picture } = state;
    const answer = await behind.view(request, isOver);
    // An answer that comes after another picture was opened says nothing of that one.
    if (answer && "bitmap" in answer && isOurs(request) && picture === state.picture) trial.consider(request, answer);
    return answer;
  }

  /** Let the server know now and then that somebody is there, while all is drawn here. */
  function remind() {
    if (performance.now() - heard <= REMIND_MS) return;
    heard = performance.now();
    behind.progress();
  }

  /** @param {ViewRequest} request @param {() => boolean} isOver @returns {Promise<View | null>} */
  async function drawView(request, isOver) {
    const { picture } = state;
    const isAhead = request.kind === "ahead";
    const size = sizeOf(request);
    remind();
    const isStale = () => isOver() || picture !== state.picture || (isAhead && urgent > 0);
    if (!isAhead) urgent += 1;
    try {
      const renderer = await trial.renderer(picture);
      const drawn = await trial.inTime(renderer, drawRequest(renderer, request, wantedOf(request, size), isStale, (share) => shares.set(request, share)));
      if (!drawn) return null;
      const { pixels, span, milliseconds, factors } = drawn;
      const { height, width } = request.window;
      const image = new ImageData(/** @type {any} */ (pixels), width, height);
      const bitmap = await createImageBitmap(image, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
      return { bitmap, size, window: request.window, milliseconds, factors, span, psnr: null, by: "your GPU" };
    } finally {
      shares.delete(request);
      if (!isAhead) urgent -= 1;
    }
  }

  /** @param {PixelRequest} request @returns {Promise<Map<string, Seen> | Failure | null>} */
  async function inspect(request) {
    if (!request.influence && request.models.every((model) => trial.trusts({ model }))) {
      try {
        return await look(request);
      } catch (error) {
        trial.end(error);
      }
    }
    return behind.inspect(request);
  }

  /** @param {PixelRequest} request @returns {Promise<Map<string, Seen> | null>} */
  async function look(request) {
    const { picture } = state;
    const { row, column, chain } = request;
    remind();
    const size = sizeOf(request);
    const renderer = await trial.renderer(picture);
    const lookByDistance = async (/** @type {Wanted} */ wanted) => {
      const drawn = await renderer.draw(wanted);
      return drawn && { rgb: [...drawn.pixels.slice(0, 3)], stages: attendByDistance(picture, size, row, column) };
    };
    /** @type {Map<string, Seen>} */
    const seen = new Map();
    for (const model of request.models) {
      const wanted = wantedOf(/** @type {any} */ ({ model, stages: null, chain, window: { top: row, left: column, height: 1, width: 1 } }), size);
      const kind = state.models.get(model).kind === "attention" ? "attention" : "ensemble";
      const found = await trial.inTime(renderer, kind === "attention" ? renderer.attend(wanted, row, column) : lookByDistance(wanted));
      if (!found || picture !== state.picture) return null;
      seen.set(model, { kind, size: [size.height, size.width], pixel: [row, column], ...found });
    }
    return seen;
  }

  /** @returns {Promise<Progress[]>} */
  async function progress() {
    const own = [...shares].map(([{ model, stages, error }, share]) => ({ model, stages, error, share }));
    return trial.isOver || !own.length ? behind.progress() : own;
  }

  return { ...behind, view, inspect, progress };
}

/** The whole output. @param {{scale: number, size: Size | null}} request @returns {Size} */
function sizeOf({ scale, size }) {
  return size ?? { height: roundHalfEven(state.picture.height * scale), width: roundHalfEven(state.picture.width * scale) };
}
