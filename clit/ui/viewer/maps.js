// @ts-check
// The maps of a look: a row for each method and stage, with numbers for each head. Nothing here touches the page.

import { latentArea } from "./geometry.js";
import { clamp } from "./numbers.js";
import { state } from "./store.js";

/** @import { Look, Stage } from "./engine.js" */
/** @import { Model } from "./models.js" */
/** @import { Size } from "./numbers.js" */
/** @import { Place } from "./store.js" */

/** @typedef {{name: string, weights: (number | null)[][]}} WeightMap null where there is no neighbour */

/**
 * @typedef {object} Row
 * @property {string} key
 * @property {Model} model
 * @property {number[] | null} rgb the colour of the pixel, in the last stage's row
 * @property {string} note
 * @property {string} detail
 * @property {Pick<Stage, "latents" | "inside" | "grid">} stage
 * @property {Place} at the pixel
 * @property {Place & Size} area that the maps cover
 * @property {WeightMap[]} maps the mean first, then one for each head
 * @property {number[][]} [numbers] the four of a local ensemble
 */

/** What the maps of attention can show. `zero`: colours begin at zero, else at the smallest value. */
export const QUANTITIES = {
  weights: { label: "Weights", zero: true, digits: 3, note: (n) => `${n} weights; each head's sum to 1.` },
  content: { label: "Similarity", zero: false, digits: 1, note: () => "The part of each logit that features make: q · k." },
  position: { label: "Position", zero: false, digits: 1, note: () => "The part of each logit that distance makes." },
  influence: {
    label: "Influence",
    zero: true,
    digits: 3,
    note: () => "How far this pixel's colour moves when that neighbour's value is left out, computed anew for each.",
  },
};

/** A row for each stage. @param {Model} model @param {Look} look @param {Place} at @returns {Row[]} */
export function lookRows(model, look, at) {
  if (look.answer.kind === "ensemble") return ensembleRows(model, look, at);
  const { stages } = look.answer;
  return stages.map((stage, index) => ({
    key: `${model.name} ${index}`,
    model,
    rgb: index === stages.length - 1 ? look.answer.rgb : null,
    note: stages.length > 1 ? `stage ${index + 1} of ${stages.length}` : "one stage",
    detail: `${stage.grid[1]} × ${stage.grid[0]} grid`,
    stage,
    at,
    area: latentArea(stage),
    maps: stageMaps(stage),
  }));
}

/** @param {Stage} stage @returns {WeightMap[]} */
function stageMaps(stage) {
  if (state.quantity === "influence") return [{ name: "influence", weights: stage.influence }];
  const each = stage[state.quantity];
  const mean = each[0].map((line, i) => line.map((_, j) => each.reduce((sum, head) => sum + head[i][j], 0) / each.length));
  const heads = each.map((weights, head) => ({ name: `head ${head + 1}`, weights }));
  return [{ name: "mean of the heads", weights: mean }, ...heads];
}

/** The four numbers of a local ensemble on the seven by seven grid that attention has, about the nearest latent. @param {Model} model @param {Look} look @param {Place} picked @returns {Row[]} */
function ensembleRows(model, look, picked) {
  const [stage] = look.answer.stages;
  const numbers = { weights: stage.weights[0], influence: stage.influence }[state.quantity];
  if (!numbers) return []; // it has no logits to take apart
  const { height, width } = state.picture;
  const at = {
    y: ((look.row + 0.5) * height) / look.answer.size[0],
    x: ((look.column + 0.5) * width) / look.answer.size[1],
  };
  const centre = { y: clamp(Math.floor(at.y), 0, height - 1), x: clamp(Math.floor(at.x), 0, width - 1) };
  const radius = 3;
  const side = Array.from({ length: 2 * radius + 1 }, (_, i) => i - radius);
  const weights = side.map(() => side.map(() => null));
  stage.latents.forEach((line, i) =>
    line.forEach(([y, x], j) => {
      const [down, right] = [Math.round(y) - centre.y + radius, Math.round(x) - centre.x + radius];
      weights[down][right] = (weights[down][right] ?? 0) + numbers[i][j]; // at the border two coincide
    }),
  );
  /** @type {[number, number][][]} */
  const latents = side.map((dy) => side.map((dx) => [centre.y + dy, centre.x + dx]));
  const inside = latents.map((line) => line.map(([y, x]) => y >= 0 && x >= 0 && y < height && x < width));
  /** @type {[number, number]} */
  const grid = [height, width];
  const row = {
    key: model.name,
    model,
    rgb: look.answer.rgb,
    note: "distance alone",
    detail: "four neighbours",
    stage: { latents, inside, grid },
    at: picked,
    area: latentArea({ latents, grid }),
    maps: [{ name: state.quantity === "weights" ? "share of each neighbour" : "influence", weights }],
    numbers,
  };
  return [row];
}

/** @param {WeightMap} map @returns {number[]} */
export const numbersOf = (map) => map.weights.flat().filter((each) => each !== null);

/** Of weights, in bits: 0 is one neighbour, 5.6 all 49 alike. @param {WeightMap} map */
export function entropy(map) {
  const bits = map.weights.flat().reduce((sum, weight) => (weight > 0 ? sum - weight * Math.log2(weight) : sum), 0);
  return Math.max(0, bits);
}

/** A value's place on the colour scale of its map, 0..1; of its row, where one scale is shared. @param {Row} row @param {WeightMap} map @param {number} value */
export function shade(row, map, value) {
  const values = (state.sharedScale ? row.maps : [map]).flatMap(numbersOf);
  const low = QUANTITIES[state.quantity].zero ? 0 : Math.min(...values);
  return (value - low) / (Math.max(...values) - low || 1);
}

/** Where the pixel itself lies on its map, in squares. @param {Row} row */
export function markPlace({ at, area, stage }) {
  const n = stage.latents.length;
  return { cy: ((at.y - area.y) / area.height) * n, cx: ((at.x - area.x) / area.width) * n };
}
