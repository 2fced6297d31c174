// @ts-check
// A view that can be looked at without a server: what of the page's state goes into the file, and how it comes back.

import { decodePicture, encodePng, toBase64 } from "./bitmaps.js";
import { make } from "./dom.js";
import { engine } from "./engine.js";
import { goal, outputSize, shownScale, sizeAsked, visibleWindow } from "./geometry.js";
import { modelOf } from "./models.js";
import { clamp } from "./numbers.js";
import { shownMethods, shownPanes, sources, unanswered } from "./panes.js";
import { finishedFrame } from "./passes.js";
import { changed, state, subscribe } from "./store.js";
import { fit } from "./view.js";

/** @import { Look } from "./engine.js" */
/** @import { LookedAt } from "./store.js" */
/** @import { Source } from "./panes.js" */

const MARGIN = 16; // pixels of the small picture that are kept around the view
const KEPT = /** @type {const} */ (["view", "size", "wipe", "blink", "gain", "paint", "head", "chain", "enlarged", "ownScale", "mapPainted"]);
const DIGITS = 1e5; // of weights that are kept: maps show three

/** What a saved page holds; an answer with `error` where it cannot be made. */
export async function saveView() {
  const size = outputSize(shownScale());
  const window = visibleWindow(size);
  const models = shownMethods((model) => model.kind === "attention");
  const asked = { models, ...sizeAsked(shownScale(), size), chain: state.chain, window };
  const answer = models.length ? await engine.sources(asked) : { sources: {} };
  if ("error" in answer) return answer;
  const { bitmap, credit, notice, name, height, width, truth } = state.picture;
  const crop = cropAbout(window, size);
  const used = new Set([...shownPanes(), ...sources()].map((pane) => pane.model));
  return {
    ...Object.fromEntries(KEPT.map((key) => [key, state[key]])),
    quantity: state.quantity === "influence" ? "weights" : state.quantity,
    picture: { credit, notice, name, height, width, truth, crop, png: await cutPng(bitmap, crop) },
    pane: state.pane,
    panes: await Promise.all(shownPanes().map(savePane)),
    parts: await Promise.all(sources().filter((each) => each.isPart).map(savePane)),
    models: [...state.models.values()].filter((model) => used.has(model.name) || [...used].some((each) => modelOf(each)?.of === model.name)),
    scores: [...state.scores].map(([method, found]) => [method, [...found]]),
    picked: state.picked && saveLooks({ ...state.picked, looks: state.looks }),
    pins: state.pins.map(saveLooks),
    window,
    outputSize: size,
    sources: answer.sources,
  };
}

/** The part of the small picture about a window. */
function cropAbout(window, size) {
  const { height, width } = state.picture;
  const [perRow, perColumn] = [height / size.height, width / size.width];
  const top = clamp(Math.floor(window.top * perRow) - MARGIN, 0, height);
  const left = clamp(Math.floor(window.left * perColumn) - MARGIN, 0, width);
  const bottom = clamp(Math.ceil((window.top + window.height) * perRow) + MARGIN, 0, height);
  const right = clamp(Math.ceil((window.left + window.width) * perColumn) + MARGIN, 0, width);
  return { top, left, height: bottom - top, width: right - left };
}

/** @param {ImageBitmap} bitmap @param {{top: number, left: number, height: number, width: number}} part */
async function cutPng(bitmap, { top, left, height, width }) {
  const canvas = make("canvas", { height, width });
  canvas.getContext("2d").drawImage(bitmap, -left, -top);
  return toBase64(await encodePng(canvas));
}

/** A pane, or a part of one, with what it shows: its newest frame may be one of another view. @param {Source} pane */
async function savePane(pane) {
  const { model } = pane;
  const frame = finishedFrame(pane, goal());
  if (!frame) return { model };
  const { bitmap, ...told } = frame;
  const whole = { top: 0, left: 0, height: bitmap.height, width: bitmap.width };
  return { model, frame: { ...told, png: await cutPng(bitmap, whole) } };
}

/** @param {LookedAt} place */
const saveLooks = ({ y, x, looks }) => ({ y, x, looks: [...looks].map(([name, look]) => [name, saveLook(look)]) });

/** A look without what a saved page does not show. @param {Look} look @returns {Look} */
function saveLook({ answer, ...rest }) {
  const short = (part) => part && part.map((lines) => lines.map((line) => line.map((each) => Math.round(each * DIGITS) / DIGITS)));
  const stages = answer.stages.map(({ weights, content, position, latents, inside, grid }) => ({
    ...{ weights: short(weights), content: short(content), position: short(position) },
    ...{ latents, inside, grid, influence: null },
  }));
  return { ...rest, answer: { ...answer, stages } };
}

/** Show what a page holds, in panes that are there. @param {any} saved what `saveView` returned */
export async function restoreView(saved) {
  const { crop, png, ...picture } = saved.picture;
  const part = await decodePicture(png, "image/png");
  const canvas = make("canvas", { height: picture.height, width: picture.width });
  canvas.getContext("2d").drawImage(part, crop.left, crop.top);
  const whole = { id: "saved", whole: "saved", place: null, original: saved.outputSize, example: null };
  state.picture = { ...whole, ...picture, bitmap: await createImageBitmap(canvas) };
  state.models = new Map(saved.models.map((model) => [model.name, model]));
  for (const key of [...KEPT, "quantity"]) state[key] = saved[key];
  state.scores = new Map(saved.scores.map(([method, found]) => [method, new Map(found)]));
  const lookedAt = ({ y, x, looks }) => ({ y, x, looks: new Map(looks) });
  state.pins = saved.pins.map(lookedAt);
  if (saved.picked) {
    const { y, x, looks } = lookedAt(saved.picked);
    Object.assign(state, { picked: { y, x }, looks });
  }
  for (const pane of state.panes.splice(saved.panes.length)) pane.element.remove();
  state.paneCount = saved.panes.length;
  const framesOf = async ({ frame }) => (frame ? [{ ...frame, bitmap: await decodePicture(frame.png, "image/png") }] : []);
  for (const [index, pane] of state.panes.entries()) {
    Object.assign(pane, { model: saved.panes[index].model, frames: await framesOf(saved.panes[index]) });
  }
  for (const part of saved.parts) {
    state.parts.set(part.model, { model: part.model, isPart: true, ...unanswered(), frames: await framesOf(part) });
  }
  const { window, outputSize: size } = saved;
  const [perRow, perColumn] = [picture.height / size.height, picture.width / size.width];
  const [y, x, height, width] = [window.top * perRow, window.left * perColumn, window.height * perRow, window.width * perColumn];
  state.saved = { y, x, height, width };
  subscribe(["layout"], fit); // whatever the window is that it is looked at in
  changed("models", "picture", "view", "panes", "layout", "wipe", "blink", "gain", "frames", "chain", "paint", "pixel", "pins", "looks", "maps", "scores", "dock");
}
