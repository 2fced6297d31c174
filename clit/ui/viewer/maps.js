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
 * @property {number} index of the stage
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

/**
 * What the maps of attention can show. `ticks`: values of the one colour scale of all maps, which goes by the square root,
 * from the first to the last; logits have no bounds, and so none.
 * @typedef {{label: string, digits: number, ticks: [number, string][] | null, note: (n: number) => string}} Quantity
 */

/** @type {Record<string, Quantity>} */
export const QUANTITIES = {
  weights: {
    label: "Weights",
    digits: 3,
    ticks: [[0, "0"], [1 / 49, "1/49"], [1 / 4, "1/4"], [1, "1"]],
    note: (n) => `${n} weights; each head's sum to 1.`,
  },
  content: { label: "Similarity", digits: 1, ticks: null, note: () => "The part of each logit that features make: q · k." },
  position: { label: "Position", digits: 1, ticks: null, note: () => "The part of each logit that distance makes." },
  influence: {
    label: "Influence",
    digits: 1,
    ticks: [[0, "0"], [5, "5"], [64, "64"], [255, "255"]],
    note: () => "How far this pixel's colour moves when that neighbour's value is left out, in 255ths of full range.",
  },
};

const LEVELS = 255; // of full range: influence is told in these

/** Whether a look holds a quantity: the influence is asked for only where it is shown. @param {Look} look @param {string} [quantity] */
export const isKnown = (look, quantity = state.quantity) => quantity !== "influence" || look.answer.stages[0].influence !== null;

/**
 * A row for each stage; none where the look does not hold the quantity.
 * @param {Model} model @param {Look} look @param {Place} at @param {string} [quantity] what its maps show @returns {Row[]}
 */
export function lookRows(model, look, at, quantity = state.quantity) {
  if (!isKnown(look, quantity)) return [];
  if (look.answer.kind === "ensemble") return ensembleRows(model, look, at, quantity);
  const { stages } = look.answer;
  return stages.map((stage, index) => ({
    key: `${model.name} ${index}`,
    index,
    model,
    rgb: index === stages.length - 1 ? look.answer.rgb : null,
    note: stages.length > 1 ? `stage ${index + 1} of ${stages.length}` : "one stage",
    detail: `${stage.grid[1]} × ${stage.grid[0]} latents`,
    stage,
    at,
    area: latentArea(stage),
    maps: stageMaps(stage, quantity),
  }));
}

/** @param {number[][]} influence */
const inLevels = (influence) => influence.map((line) => line.map((each) => LEVELS * each));

/** @param {Stage} stage @param {string} quantity @returns {WeightMap[]} */
function stageMaps(stage, quantity) {
  if (quantity === "influence") return [{ name: "influence", weights: inLevels(stage.influence) }];
  const each = stage[quantity];
  const mean = each[0].map((line, i) => line.map((_, j) => each.reduce((sum, head) => sum + head[i][j], 0) / each.length));
  const heads = each.map((weights, head) => ({ name: `head ${head + 1}`, weights }));
  return [{ name: "mean of the heads", weights: mean }, ...heads];
}

/** The four numbers of a local ensemble on the seven by seven grid that attention has, about the nearest latent. @param {Model} model @param {Look} look @param {Place} picked @param {string} quantity @returns {Row[]} */
function ensembleRows(model, look, picked, quantity) {
  const [stage] = look.answer.stages;
  const numbers = quantity === "weights" ? stage.weights[0] : quantity === "influence" && inLevels(stage.influence);
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
    index: 0,
    model,
    rgb: look.answer.rgb,
    note: "distance alone",
    detail: "four neighbours",
    stage: { latents, inside, grid },
    at: picked,
    area: latentArea({ latents, grid }),
    maps: [{ name: quantity === "weights" ? "share of each neighbour" : "influence", weights }],
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

/** A value as it is written. @param {number} value */
export const written = (value) => value.toFixed(QUANTITIES[state.quantity].digits);

/** Whether all values of a map are written alike. @param {WeightMap} map */
export const isFlat = (map) => new Set(numbersOf(map).map(written)).size === 1;

/** Whether all maps share one colour scale. @param {string} [quantity] */
export const isFixed = (quantity = state.quantity) => !state.ownScale && QUANTITIES[quantity].ticks !== null;

/** The ends of a map's colours. @param {WeightMap} map @param {string} [quantity] @returns {[number, number]} */
export function scaleEnds(map, quantity = state.quantity) {
  const { ticks } = QUANTITIES[quantity];
  if (isFixed(quantity)) return [ticks[0][0], ticks.at(-1)[0]];
  const values = numbersOf(map);
  return [ticks ? 0 : Math.min(...values), Math.max(...values)];
}

/**
 * The places of a map's values on its colour scale, 0..1: one colour for a map that is flat.
 * @param {WeightMap} map @param {string} [quantity] @returns {(value: number) => number}
 */
export function shading(map, quantity = state.quantity) {
  const [low, high] = scaleEnds(map, quantity);
  const shade = (value) => {
    const place = clamp((value - low) / (high - low || 1), 0, 1);
    return isFixed(quantity) ? Math.sqrt(place) : place;
  };
  if (quantity !== state.quantity || !isFlat(map)) return shade;
  const values = numbersOf(map);
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  return () => shade(mean);
}

/** The chosen row and map, else the mean of the first that is attention. @param {Row[]} rows */
export function chosenMap(rows) {
  const named = rows.find((each) => each.key === state.enlarged.row);
  const row = named ?? rows.find((each) => !each.numbers) ?? rows[0];
  return { row, map: row.maps[named ? state.enlarged.map : 0] ?? row.maps[0] };
}

/** Where the pixel itself lies on its map, in squares. @param {Row} row */
export function markPlace({ at, area, stage }) {
  const n = stage.latents.length;
  return { cy: ((at.y - area.y) / area.height) * n, cx: ((at.x - area.x) / area.width) * n };
}
