// @ts-check
// The engine of a site of files: there is no server. Pictures are opened in the browser, plain interpolation is computed there,
// and networks draw one thing at a time, what follows the hand first.

import { bitmapOf, cut, toFloats } from "./decoding.js";
import { findPlaces } from "./differing_places.js";
import { compare, decibels, luma, meanSquare } from "./metrics.js";
import { roundHalfEven } from "./numbers.js";
import { errorColours } from "./painting.js";
import { shrink, shrinkReads } from "./resampling.js";
import { drawBytes, drawColours } from "./site_drawing.js";
import { makePair, openSource } from "./site_pictures.js";
import { Turns } from "./turns.js";

/** @import { DifferenceRequest, Differences, Engine, Failure, PixelRequest, ScoreRequest, Seen, Source, SourcesRequest, View, ViewRequest, Window } from "./engine.js" */
/** @import { Raster } from "./resampling.js" */
/** @import { Networks } from "./site_drawing.js" */
/** @import { Opened } from "./site_pictures.js" */
/** @import { Size } from "./numbers.js" */

const URGENCY = { preview: 0, look: 1, exact: 2, ahead: 3, score: 4 };

const LARGEST_COMPARED = 4; // scale at which methods are compared with one another, at most
const COMPARED_PIXELS = 2_000_000; // of the whole output, at most

const FAILURE = { error: "Your GPU could not draw this: choose a smaller scale or another method, or load the page again." };

const never = () => false;

/** @param {{models: any[], examples: any[], limits: any, networks: Networks}} site @returns {Engine} */
export function siteEngine({ models, examples, limits, networks }) {
  const turns = new Turns();
  /** @type {Opened | null} */
  let open = null;

  /** @type {Map<ViewRequest, number>} how much is done of the views being drawn, 0..1 */
  const shares = new Map();
  const isNetwork = (name) => models.some((each) => each.name === name && each.kind !== "plain");

  /** The whole output of a picture. @param {{raster: Raster}} opened @param {number} scale @param {Size | null} [size] */
  const outputOf = ({ raster }, scale, size = null) =>
    size ?? { height: roundHalfEven(raster.height * scale), width: roundHalfEven(raster.width * scale) };

  /** Do something in its turn, or at once where it has no urgency; a fault is one sentence. @template T @param {number | null} urgency @param {() => boolean} isOver @param {() => Promise<T>} work @returns {Promise<T | Failure | null>} */
  async function inTurn(urgency, isOver, work) {
    try {
      return urgency === null ? await work() : await turns.take(urgency, isOver, work);
    } catch (error) {
      console.warn(error);
      return FAILURE;
    }
  }

  async function begin() {
    return { token: null, models, examples, kinds: {}, limits, duplicate: null };
  }

  /** @param {File} file @returns {Promise<Source>} */
  const send = async (file) => ({ file });

  /** @param {Source} source */
  async function openPicture(source) {
    const opened = await openSource(source, { examples, limits }, open);
    if ("error" in opened) return opened;
    open = opened;
    return opened.picture;
  }

  /** @param {ViewRequest} request @param {() => boolean} isOver @returns {Promise<View | Failure | null>} */
  async function view(request, isOver) {
    const opened = open;
    const urgency = URGENCY[request.kind];
    const isStale = () => isOver() || open !== opened || (request.kind === "ahead" && turns.isWanted(urgency));
    return inTurn(isNetwork(request.model) ? urgency : null, isStale, async () => {
      const began = performance.now();
      const size = outputOf(opened, request.scale, request.size);
      const shown = await drawView(opened, { ...request, size }, isStale, (done) => shares.set(request, done)).finally(() => shares.delete(request));
      if (!shown || isStale()) return null;
      const { rgb, window, whole = size, factors = [], span = null, psnr = null } = shown;
      const milliseconds = performance.now() - began;
      const bitmap = await bitmapOf({ height: window.height, width: window.width, rgb });
      return { bitmap, size: whole, window, milliseconds, factors, span, psnr, ...(isNetwork(request.model) ? { by: "your GPU" } : {}) };
    });
  }

  /**
   * @param {Opened} opened @param {ViewRequest & {size: Size}} request @param {() => boolean} isStale @param {(done: number) => void} share
   * @returns {Promise<{rgb: Uint8Array, window: Window, whole?: Size, factors?: number[], span?: [number, number], psnr?: number | null} | null>}
   */
  async function drawView(opened, request, isStale, share) {
    const { window, paint = "colours" } = request;
    if (paint === "returned") return drawReturned(opened, request, isStale, share);
    if (paint !== "colours") {
      const painted = await networks.paintHead(opened.raster, request, { paint, head: request.head }, isStale);
      return painted && { ...painted, window };
    }
    if (request.error) {
      const values = await drawColours(networks, opened, request);
      return values && { rgb: errorColours(values, toFloats(cut(opened.truth, window).rgb)), window };
    }
    const drawn = await drawBytes(networks, opened, request, isStale, share);
    return drawn && { rgb: drawn.bytes, window, factors: drawn.factors };
  }

  /** What of an output comes back when it is made small again, in the small picture's pixels. @param {Opened} opened @param {ViewRequest & {size: Size}} request @param {() => boolean} isStale @param {(done: number) => void} share */
  async function drawReturned(opened, request, isStale, share) {
    const small = opened.raster;
    const window = coveredWindow(request.window, request.size, small);
    const source = shrinkReads(request.size, small, window);
    const drawn = await drawBytes(networks, opened, { ...request, window: source }, isStale, share);
    if (!drawn) return null;
    const part = { height: source.height, width: source.width, rgb: drawn.bytes };
    const back = shrink(part, request.size, small, window, source);
    const [first, second] = [back, cut(small, window)].map(({ rgb }) => luma(toFloats(rgb)));
    return { rgb: back.rgb, window, whole: { height: small.height, width: small.width }, psnr: decibels(meanSquare(first, second)) };
  }

  /** @param {PixelRequest} request @returns {Promise<Map<string, Seen> | Failure | null>} */
  async function inspect({ models: names, scale, size, chain, row, column }) {
    const opened = open;
    return inTurn(URGENCY.look, () => open !== opened, async () => {
      const seen = new Map();
      for (const model of names) {
        const whole = outputOf(opened, scale, size);
        const part = { model, stages: null, chain, size: whole, window: { top: row, left: column, height: 1, width: 1 } };
        seen.set(model, await networks.inspect(opened.raster, part, row, column));
      }
      return seen;
    });
  }

  /** Colours of the whole output by a method. @param {{raster: Raster, truth: Raster | null}} pair @param {{model: string, stages: number | null}} method @param {string} chain @param {Size} size */
  const drawWhole = (pair, { model, stages }, chain, size) =>
    drawColours(networks, pair, { model, stages, chain, size, window: { top: 0, left: 0, ...size } });

  /** @param {DifferenceRequest} request @returns {Promise<Differences | Failure | null>} */
  async function differences({ methods, scale, chain }) {
    const opened = open;
    const { raster } = opened;
    const most = Math.min(LARGEST_COMPARED, Math.sqrt(COMPARED_PIXELS / (raster.height * raster.width)));
    const compared = methods.some(({ model }) => model === "truth") ? scale : Math.min(scale, Math.max(1, most));
    const size = outputOf(opened, compared);
    const isOver = () => open !== opened;
    return inTurn(URGENCY.exact, isOver, async () => {
      const lumas = [];
      for (const method of methods) {
        const values = await drawWhole(opened, method, chain, size);
        if (!values || isOver()) return null;
        lumas.push(luma(values));
      }
      return { scale: compared, places: findPlaces(lumas[0], lumas[1], size, raster) };
    });
  }

  /** @param {ScoreRequest} request */
  async function score({ model, scale, chain }) {
    const opened = open;
    if (!opened?.whole) return { error: "There is no ground truth: switch it on first." };
    const pair = scale === opened.picture.truth ? { raster: opened.raster, truth: opened.truth } : await makePair(opened.whole, scale);
    if ("error" in pair) return pair;
    const isOver = () => open !== opened;
    return inTurn(isNetwork(model) ? URGENCY.score : null, isOver, async () => {
      const { height, width, rgb } = pair.truth;
      const values = await drawWhole(pair, { model, stages: null }, chain, { height, width });
      return values && { scale, ...compare({ height, width, values }, { height, width, values: toFloats(rgb) }, scale) };
    });
  }

  /** @param {SourcesRequest} request */
  async function sources({ models: names, scale, size, chain, window }) {
    const opened = open;
    const found = await inTurn(URGENCY.exact, never, async () => {
      const parts = names.map((model) => ({ model, stages: null, chain, size: outputOf(opened, scale, size), window }));
      let needed = 0;
      for (const part of parts) needed += await networks.sourceBytes(opened.raster, part);
      if (needed > limits.page_bytes) {
        const [much, most] = [Math.floor(needed / 1e5) / 10, limits.page_bytes / 1e6];
        return { error: `A page of this view would have more than ${much} MB, and ${most} are allowed: choose a larger scale, or fewer panes.` };
      }
      const sources = {};
      for (const part of parts) sources[part.model] = await networks.source(opened.raster, part);
      return { sources };
    });
    return found ?? FAILURE;
  }

  const progress = async () => [...shares].map(([{ model, stages, error }, share]) => ({ model, stages, error, share }));

  return { begin, send, open: openPicture, view, progress, inspect, differences, score, sources };
}

/** The pixels of a small picture that a window of its output touches. @param {Window} window @param {Size} size @param {Size} small @returns {Window} */
function coveredWindow(window, size, small) {
  const [top, left] = [Math.floor((window.top * small.height) / size.height), Math.floor((window.left * small.width) / size.width)];
  const bottom = Math.ceil(((window.top + window.height) * small.height) / size.height);
  const right = Math.ceil(((window.left + window.width) * small.width) / size.width);
  return { top, left, height: bottom - top, width: right - left };
}
