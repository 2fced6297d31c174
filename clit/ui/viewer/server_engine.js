// @ts-check
// The server as an engine: every picture, view and look is a question.

import { decodePicture } from "./bitmaps.js";
import { ask, sendFile } from "./server.js";

/** @import { DifferenceRequest, Differences, Engine, Failure, Offer, Picture, PixelRequest, Progress, Score, ScoreRequest, Seen, Source, SourcesRequest, View, ViewRequest, Window } from "./engine.js" */
/** @import { Size } from "./numbers.js" */

/** @param {Size | null} size */
const sizeSent = (size) => size && [size.height, size.width];

/** @param {any} answer @returns {Failure | null} */
const failureOf = (answer) => (answer.error ? { error: answer.error, expired: answer.expired } : null);

/** @returns {Promise<Offer | Failure>} */
const begin = () => ask("begin");

/** @param {File} file @returns {Promise<Source | Failure>} */
const send = async (file) => ({ name: file.name, ...(await sendFile(file)) });

/** @param {Window} window */
const windowSent = ({ top, left, height, width }) => [top, left, height, width];

/** @param {Source} source @param {() => boolean} isOver @returns {Promise<Picture | Failure>} */
async function open(source, isOver) {
  let answer;
  if ("truth" in source) answer = await ask("open_truth", { scale: source.truth }, isOver);
  else if ("example" in source) answer = await ask("open_example", { name: source.example });
  else answer = await ask("open_upload", source, isOver);
  if (!answer.image) return failureOf(answer) ?? { error: "" };
  const { id, whole, name, height, width, credit, notice, truth, image } = answer;
  const place = "truth" in source ? null : answer.place; // ground truth stays where the view is
  const original = { height: answer.original[0], width: answer.original[1] };
  const example = "example" in source ? source.example : null;
  return { id, whole, name, height, width, credit, notice, place, original, truth, example, bitmap: await decodePicture(image, "image/webp") };
}

/** @param {ViewRequest} request @param {() => boolean} isOver @returns {Promise<View | Failure | null>} */
async function view({ size, window, ...rest }, isOver) {
  const asked = { ...rest, size: sizeSent(size), window: windowSent(window) };
  const answer = await ask("render_view", asked, isOver);
  if (!answer.image) return failureOf(answer);
  const [top, left, height, width] = answer.window;
  return {
    bitmap: await decodePicture(answer.image, "image/webp"),
    size: { height: answer.size[0], width: answer.size[1] },
    window: { top, left, height, width },
    milliseconds: answer.milliseconds,
    factors: answer.factors,
    span: answer.span,
    psnr: answer.psnr,
    by: "the server",
  };
}

/** @param {PixelRequest} request @returns {Promise<Map<string, Seen> | Failure | null>} */
async function inspect({ size, row, column, ...rest }) {
  const answer = await ask("inspect", { ...rest, size: sizeSent(size), pixel: [row, column] });
  return answer.looks ? new Map(Object.entries(answer.looks)) : failureOf(answer);
}

/** @param {DifferenceRequest} request @returns {Promise<Differences | Failure | null>} */
async function differences(request) {
  const answer = await ask("find_differences", request);
  return answer.places ? answer : failureOf(answer);
}

/** @returns {Promise<Progress[]>} */
async function progress() {
  const answer = await ask("tell_progress");
  return answer.views ?? [];
}

/** @param {ScoreRequest} request @returns {Promise<Score | Failure | null>} */
async function score(request) {
  const answer = await ask("score", request);
  return answer.ssim === undefined ? failureOf(answer) : answer;
}

/** @param {SourcesRequest} request @returns {Promise<{sources: Record<string, any>} | Failure>} */
async function sources({ size, window, ...rest }) {
  const answer = await ask("view_sources", { ...rest, size: sizeSent(size), window: windowSent(window) });
  return answer.sources ? answer : (failureOf(answer) ?? { error: "The visit has begun anew meanwhile: save the page once more." });
}

/** @type {Engine} */
export const serverEngine = { begin, send, open, view, progress, inspect, differences, score, sources };
