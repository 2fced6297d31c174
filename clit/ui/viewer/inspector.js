// @ts-check
// What the picked pixel looked at, in the dock: the mean of every method and stage, the heads of the chosen one, and one
// map large with numbers.

import { divergingStops, viridisStops } from "./colours.js";
import { $, $$, make, root, svg } from "./dom.js";
import { pixelOf, shownScale } from "./geometry.js";
import { toggleMap, viewerKey } from "./input.js";
import { mapButton, numberedPicture } from "./map_pictures.js";
import { QUANTITIES, chosenMap, isFixed, isFlat, isKnown, lookRows, scaleEnds, written } from "./maps.js";
import { isPhone } from "./menus.js";
import { shortLabel } from "./models.js";
import { times } from "./numbers.js";
import { shownMethods } from "./panes.js";
import { inspected, isPinned, pin, shownPixel, unpick } from "./pixel.js";
import { changed, state, subscribe } from "./store.js";

/** @import { Row, WeightMap } from "./maps.js" */
/** @import { Place } from "./store.js" */

const GAP = 6; // between maps of a strip
const SQUARES = 7; // a side of a map; its pixels are a multiple of that, so that all squares are alike
const LEAST_SMALL = 28; // pixels a side of a map of a strip

/** Every row that the looks of the pixel shown have. @returns {Row[]} */
export function shownRows() {
  const pixel = shownPixel();
  const names = pixel ? inspected().filter((name) => pixel.looks.has(name)) : [];
  return names.flatMap((name) => lookRows(state.models.get(name), pixel.looks.get(name), pixel));
}

/** Choose the map that is drawn large. @param {Row} row @param {WeightMap} map */
export function enlarge(row, map) {
  state.enlarged = { row: row.key, map: row.maps.indexOf(map) };
  changed("maps");
}

function emptyText() {
  if (!state.picture) return "";
  const pixel = shownPixel();
  if (!pixel) {
    const how = matchMedia("(hover: hover)").matches ? ["Point at", " A click holds it."] : ["Tap", ""];
    return `Every method makes a large picture of a small one, and says the colour of each new pixel. ${how[0]} a pixel in any pane to see the neighbours it looked at, and how much each counted.${how[1]}`;
  }
  if (!inspected().length) return "No pane shows a method that looks at neighbours: choose LIIF, LIT or CLIT in one of them.";
  const missing = QUANTITIES[state.quantity].label.toLowerCase();
  const known = inspected().some((name) => pixel.looks.has(name) && isKnown(pixel.looks.get(name)));
  return known && !shownRows().length ? `LIIF and LTE weigh by distance: there is no logit, and so no ${missing}, to take apart.` : "";
}

/** What each method shown does, while no pixel is asked about: who comes by has heard of none of them. */
function explainMethods() {
  const names = state.picture && !shownPixel() ? shownMethods(() => true) : [];
  const terms = names.map((name) => state.models.get(name)).flatMap((model) => [make("dt", {}, shortLabel(model)), make("dd", {}, model.about)]);
  $(".shown-methods").replaceChildren(...terms);
}

function showInspector() {
  const inspector = $(".inspector");
  const pixel = state.picture && shownPixel();
  inspector.dataset.open = pixel ? "yes" : "no";
  inspector.dataset.scale = isFixed() ? "fixed" : "own";
  inspector.dataset.busy = state.looking ? "yes" : "no";
  $(".inspector .empty").textContent = emptyText();
  explainMethods();
  $(".pin-toggle").setAttribute("aria-pressed", String(isPinned()));
  for (const button of $$(".asks .button")) button.setAttribute("aria-pressed", String(button.value === state.quantity));
  const rows = pixel ? shownRows() : [];
  if (pixel) showPixel(pixel);
  $(".large .enlarged").hidden = !rows.length;
  $(".ruler").hidden = !rows.length;
  if (rows.length) showMaps(rows);
  else for (const each of [".means", ".heads", ".enlarged", ".large-title", ".map-note"]) $(each).replaceChildren();
}

/** @param {Place} place */
function showPixel(place) {
  const { row, column, size } = pixelOf(place);
  $(".held").textContent = state.picked ? "held" : "under the pointer";
  $(".unpick").hidden = !state.picked;
  $(".picked").textContent = `Row ${row}, column ${column}`;
  $(".picked").title = `Row ${row} of ${size.height}, column ${column} of ${size.width}, at ${times(shownScale())}`;
}

/** @param {Row[]} rows */
function showMaps(rows) {
  const { row, map } = chosenMap(rows);
  const focused = $$(".inspector .map-button").indexOf(document.activeElement);
  $(".means").replaceChildren(...rows.map((each) => meanFigure(each, each === row)));
  const heads = row.maps.slice(1);
  $(".heads").replaceChildren(...heads.map((each) => mapFigure(row, each, make("figcaption", {}, capitalise(each.name)), each === map)));
  sizeStrips(rows.length, heads.length);
  if (focused >= 0) ($$(".inspector .map-button")[focused] ?? $(".panes")).focus(); // walking goes on
  showLarge(row, map);
}

const capitalise = (text) => text[0].toUpperCase() + text.slice(1);

/** The first map of a row stands for it, with the colour that the method gave the pixel. @param {Row} row @param {boolean} chosen */
function meanFigure(row, chosen) {
  const [, stage] = /^stage (\d+)/.exec(row.note) ?? [];
  const name = `${shortLabel(row.model)}${stage ? ` ${stage}` : ""}`;
  const swatch = row.rgb && make("i", { style: `background: rgb(${row.rgb.join(" ")})`, title: `The colour it gave this pixel: ${row.rgb.join(" ")}` });
  return mapFigure(row, row.maps[0], make("figcaption", { title: row.model.about }, swatch, make("b", {}, name)), chosen);
}

function mapFigure(row, map, caption, chosen) {
  const box = mapButton(row, map, () => enlarge(row, map));
  box.querySelector("button").setAttribute("aria-pressed", String(chosen));
  return make("figure", {}, caption, box);
}

// As large as they can be side by side.
function sizeStrips(...counts) {
  const inside = $(".inspector").clientWidth - 32;
  [".means", ".heads"].forEach((strip, index) => {
    const share = (inside - GAP * (counts[index] - 1)) / counts[index];
    const most = innerHeight < 700 && !isPhone() ? 63 : (inside - 3 * GAP) / 4; // what leaves the large map its height
    const side = SQUARES * Math.floor(Math.min(Math.max(share, LEAST_SMALL), most) / SQUARES);
    $(strip).style.setProperty("--small", `${side}px`);
    $(strip).dataset.spread = counts[index] > 3 ? "yes" : "no"; // a few stay together
  });
}

function showLarge(row, map) {
  const { note } = QUANTITIES[state.quantity];
  const fromDistance = row.numbers && state.quantity === "weights";
  const heads = row.maps.length - 1;
  const name = map.name === "mean of the heads" ? `mean of ${heads} heads` : map.name;
  const stage = row.note.startsWith("stage") ? `, ${row.note}` : "";
  $(".large-title").replaceChildren(
    `${shortLabel(row.model)}${stage}, ${name}`,
    make("span", {}, ` · ${row.numbers ? "4" : map.weights.length ** 2} neighbours${state.quantity === "influence" ? ", in 255ths" : ""}${isFlat(map) ? ", all alike" : ""}`),
  );
  $(".enlarged").replaceChildren(numberedPicture(row, map));
  $(".map-note").textContent = fromDistance ? "Four weights, from distance; they sum to 1." : note(map.weights.length ** 2);
  showRuler(map);
}

/** The ticks of the colour scale, by how high they stand on it. @param {WeightMap} map */
function showRuler(map) {
  const [low, high] = scaleEnds(map);
  const places = isFixed()
    ? QUANTITIES[state.quantity].ticks.map(([value, text]) => [Math.sqrt(value / high), text])
    : [[0, low === 0 ? "0" : written(low)], [1, written(high)]];
  $(".ruler div").replaceChildren(...places.map(([at, text]) => make("span", { style: `--at: ${at}` }, text)));
}

function buildColours() {
  root.style.setProperty("--viridis", `linear-gradient(to right, ${viridisStops})`);
  root.style.setProperty("--diverging", `linear-gradient(to right, ${divergingStops})`);
  root.style.setProperty("--viridis-up", `linear-gradient(to top, ${viridisStops})`);
  const hatches = [["clit-hatch", 0.28], ["clit-hatch-soft", 0.28], ["clit-hatch-place", 6]].map(([id, side]) =>
    svg(
      "pattern",
      { id, width: side, height: side, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("rect", { width: Number(side) / 3, height: side }),
    ),
  );
  root.append(svg("svg", { class: "definitions", "aria-hidden": "true" }, svg("defs", {}, ...hatches)));
}

// The panes' keys work here too, but for Enter, which presses buttons.
function inspectorKey(event) {
  if (state.picked && event.key !== "Enter" && event.key !== " ") viewerKey(event);
}

export function buildInspector() {
  buildColours();
  const ask = ([value, { label }]) => {
    const button = make("button", { type: "button", class: "button", value, "aria-pressed": "false" }, label);
    button.addEventListener("click", () => {
      state.quantity = value;
      changed("maps");
    });
    return button;
  };
  $(".asks").replaceChildren(...Object.entries(QUANTITIES).map(ask));
  $(".unpick").addEventListener("click", unpick);
  $(".pin-toggle").addEventListener("click", pin);
  $(".inspector").addEventListener("keydown", inspectorKey);
  $(".map-painted").addEventListener("click", toggleMap);
  $(".each-scale").addEventListener("click", () => {
    state.ownScale = !state.ownScale;
    changed("maps");
  });
  new ResizeObserver(showInspector).observe($(".inspector"));
  subscribe(["maps"], () => {
    $(".map-painted").setAttribute("aria-pressed", String(state.mapPainted));
    $(".each-scale").setAttribute("aria-pressed", String(state.ownScale));
  });
  subscribe(["picture", "rest", "panes", "pixel", "pins", "looks", "maps", "dock"], showInspector);
  let late = false;
  subscribe(["live"], () => {
    if (late) return;
    late = true;
    requestAnimationFrame(() =>
      setTimeout(() => {
        late = false;
        showInspector(); // after the frame that paints the map on the pictures, where the eye is
      }),
    );
  });
}
