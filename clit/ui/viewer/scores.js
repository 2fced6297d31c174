// @ts-check
// How near every method comes to the ground truth: a table, and curves against scale.

import { drawCurves } from "./curves.js";
import { $, make } from "./dom.js";
import { engine } from "./engine.js";
import { modelOf, shortLabel } from "./models.js";
import { complain } from "./notice.js";
import { shownMethods, shownPanes } from "./panes.js";
import { isHeld } from "./passes.js";
import { changed, state, subscribe } from "./store.js";

const CURVE_SCALES = [2, 3, 4, 6, 8, 12, 16, 24, 30];
const CURVE_LEAST = 8; // a small picture keeps at least so many pixels a side
const FEW_PIXELS = 24; // a side of a small picture below this is worth a word

/** Methods to measure: those of the panes, and bicubic, from which gains are counted. */
const measured = () => [...new Set(["bicubic", ...shownMethods(() => true)])];

/** Measure a method at a scale: whether that is known now. @param {string} model @param {number} scale */
async function scoreOne(model, scale) {
  const { picture, chain } = state;
  const known = state.scores.get(model) ?? state.scores.set(model, new Map()).get(model);
  if (known.has(scale)) return true;
  const answer = await engine.score({ model, scale, chain });
  if (!answer || picture !== state.picture || chain !== state.chain) return false;
  if ("error" in answer) {
    if (!answer.expired) complain(answer.error);
    return false;
  }
  known.set(scale, answer);
  changed("scores");
  return true;
}

async function scoreAll() {
  if (isHeld() || !state.picture.truth) return;
  for (const model of measured()) if (!(await scoreOne(model, state.picture?.truth))) return;
}

/** Scales that leave enough of the picture. */
function curveScales() {
  const { height, width, truth } = state.picture;
  return CURVE_SCALES.filter((scale) => Math.min(height, width) * truth >= scale * CURVE_LEAST);
}

/** PSNR against scale, a point at a time, until the picture changes or its scales run out. */
async function scoreCurve() {
  const { picture } = state;
  state.curving = true;
  changed("scores");
  const points = curveScales().flatMap((scale) => measured().map((model) => ({ model, scale })));
  for (const { model, scale } of points) {
    if (picture !== state.picture || !(await scoreOne(model, scale))) break;
  }
  state.curving = false;
  changed("scores");
}

function showScores() {
  const { picture } = state;
  const truth = picture?.truth;
  $(".scores").hidden = !truth;
  $(".scores-none").hidden = Boolean(truth);
  if (!truth) return;
  $(".error-told").hidden = !shownPanes().some((pane) => modelOf(pane.model)?.error);
  $(".few-told").hidden = Math.min(picture.height, picture.width) >= FEW_PIXELS;
  $(".score-table").replaceChildren(...scoreTable(truth));
  const rests = curveScales().length < 2;
  $(".curve-start").disabled = state.curving || rests;
  $(".curve-start").textContent = state.curving ? "Computing…" : "Decibels against scale";
  $(".curve-rests").hidden = !rests;
  drawCurves(measured(), CURVE_SCALES, truth);
}

function scoreTable(truth) {
  const scores = new Map(measured().map((name) => [name, state.scores.get(name)?.get(truth)]));
  const base = scores.get("bicubic");
  const best = Math.max(...[...scores.values()].map((score) => score?.psnr ?? -Infinity));
  const rows = [...scores].map(([name, score]) => {
    const gain = score && base && name !== "bicubic" ? (score.psnr - base.psnr).toFixed(2) : "";
    const numbers = score
      ? [score.psnr?.toFixed(2) ?? "equal", Number(gain) > 0 ? `+${gain}` : gain, score.ssim.toFixed(4), score.psnr_rgb?.toFixed(2) ?? "equal"]
      : ["…", "", "", ""];
    const title = make("th", { scope: "row" }, shortLabel(state.models.get(name)));
    return make("tr", { class: score?.psnr === best ? "best" : "" }, title, ...numbers.map((text) => make("td", {}, text)));
  });
  const titles = [`At ×${truth}`, "PSNR, dB", "over bicubic", "SSIM", "RGB, dB"];
  const head = make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)));
  return [make("thead", {}, head), make("tbody", {}, ...rows)];
}

export function buildScores() {
  $(".curve-start").addEventListener("click", scoreCurve);
  subscribe(["picture", "opening", "panes", "chain"], scoreAll);
  subscribe(["models", "picture", "panes", "scores", "chain"], showScores);
}
