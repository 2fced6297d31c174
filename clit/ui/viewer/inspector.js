// @ts-check
// What the picked pixel looked at: its maps in a table, one of them large with numbers, and files of them.

import { viridisStops } from "./colours.js";
import { $, $$, make, root, svg } from "./dom.js";
import { pickedPixel, shownScale, sizeAsked } from "./geometry.js";
import { viewerKey } from "./input.js";
import { mapButton, numberedPicture, patchFigure } from "./map_pictures.js";
import { QUANTITIES, lookRows } from "./maps.js";
import { complain } from "./notice.js";
import { times } from "./numbers.js";
import { inspected, isPinned, pin, unpick, walk } from "./pixel.js";
import { showPins } from "./pins.js";
import { ask } from "./server.js";
import { changed, state, subscribe } from "./store.js";

/** @import { Row, WeightMap } from "./maps.js" */

/** @type {Row[]} what the table shows */
let rows = [];

/** Draw a map large. @param {Row} row @param {WeightMap} map */
function enlarge(row, map) {
  const before = state.enlarged.map;
  state.enlarged = { row: row.key, map: row.maps.indexOf(map) };
  if (!rows.includes(row)) return showLarge(row, map); // of a pinned pixel
  showEnlarged();
  if (before !== state.enlarged.map) showPins(enlarge);
}

// One map drawn large with a number in each square: the one last pointed at, else the first that is attention.
function showEnlarged() {
  const named = rows.find((each) => each.key === state.enlarged.row);
  const row = named ?? rows.find((each) => !each.numbers) ?? rows[0];
  const map = row.maps[named ? state.enlarged.map : 0] ?? row.maps[0];
  for (const button of $$(".map-button")) {
    const isThis = button.dataset.row === row.key && Number(button.dataset.map) === row.maps.indexOf(map);
    button.setAttribute("aria-pressed", String(isThis));
  }
  showLarge(row, map);
}

function showLarge(row, map) {
  $(".look-model").value = row.model.name; // what is shown is what is saved, until another is chosen
  const { note } = QUANTITIES[state.quantity];
  const fromDistance = row.numbers && state.quantity === "weights";
  $(".enlarged").replaceChildren(
    make("p", {}, make("strong", {}, row.model.label), ` ${row.note}, ${map.name}`),
    numberedPicture(row, map),
    make("p", { class: "note" }, fromDistance ? "Four weights, from distance; they sum to 1." : note(map.weights.length ** 2)),
  );
}

function emptyText() {
  if (!state.picture) return "";
  if (!state.picked) return "Click a pixel in any pane to see the neighbours it looked at, and how much each counted.";
  if (inspected().length) return "";
  return "No pane shows a method that looks at neighbours: choose LIIF, LIT or CLIT in one of them.";
}

function showInspector() {
  const inspector = $(".inspector");
  inspector.dataset.open = state.picked ? "yes" : "no";
  inspector.dataset.busy = state.looking ? "yes" : "no";
  $(".inspector .empty").textContent = emptyText();
  $(".pin-toggle").hidden = !state.picked;
  $(".pin-toggle").setAttribute("aria-pressed", String(isPinned()));
  $(".lowest").textContent = QUANTITIES[state.quantity].zero ? "0" : "smallest";
  if (state.picked) showLooks();
  else for (const each of [".maps", ".enlarged"]) $(each).replaceChildren();
  showPins(enlarge);
  hintMore();
}

function showLooks() {
  const { row, column, size } = pickedPixel();
  $(".picked").textContent = `Row ${row} of ${size.height}, column ${column} of ${size.width}, at ${times(shownScale())}`;
  const looks = inspected().filter((name) => state.looks.has(name));
  $(".look-model").replaceChildren(...looks.map((name) => make("option", { value: name }, state.models.get(name).label)));
  $(".save-look").hidden = !looks.length;
  if (!looks.length) return;
  rows = looks.flatMap((name) => lookRows(state.models.get(name), state.looks.get(name), state.picked));
  if (!rows.length) {
    $(".maps").replaceChildren(make("p", { class: "note" }, "LIIF and LTE weigh by distance: there is no logit to take apart."));
    return $(".enlarged").replaceChildren();
  }
  const focused = $$(".map-button").indexOf(document.activeElement);
  $(".maps").replaceChildren(mapTable());
  if (focused >= 0) ($$(".map-button")[focused] ?? $(".inspector")).focus(); // walking goes on
  showEnlarged();
}

function mapTable() {
  const heads = Math.max(...rows.map((each) => each.maps.length - 1));
  const named = Array.from({ length: heads }, (_, head) => `Head ${head + 1}`);
  const titles = ["Method", "Input here", ...(heads ? ["Mean", ...named] : [QUANTITIES[state.quantity].label, ""])];
  return make(
    "table",
    { style: `--cell: ${heads > 4 ? 10 : 13}px` },
    make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, ...rows.map((each) => tableRow(each, heads))),
  );
}

function tableRow(row, heads) {
  const { model, rgb, note, detail, maps, numbers } = row;
  const swatch =
    rgb &&
    make(
      "span",
      { class: "swatch", title: "The colour it gave this pixel" },
      make("i", { style: `background: rgb(${rgb.join(" ")})` }),
      rgb.join(" "),
    );
  const label = make(
    "th",
    { scope: "row" },
    make("span", { class: "method-name" }, model.label),
    make("span", { class: "note" }, note),
    make("span", { class: "note" }, detail),
    swatch,
  );
  const cells = maps.map((map) => make("td", {}, mapButton(row, map, () => enlarge(row, map))));
  if (numbers) {
    const what = make("span", { class: "note" }, "the same four, in numbers");
    const lines = numbers.map((line) => make("span", {}, ...line.map((weight) => make("b", {}, weight.toFixed(3)))));
    cells.push(make("td", { colspan: Math.max(1, heads) }, make("div", { class: "four" }, ...lines), what));
  }
  return make("tr", {}, label, make("td", {}, patchFigure(row)), ...cells);
}

// What is wider than the screen fades at the right, as long as there is more.
function hintMore() {
  for (const each of $$(".maps, .pins-scroll")) {
    each.dataset.more = each.scrollWidth - each.clientWidth - each.scrollLeft > 4 ? "yes" : "no";
  }
}

// Arrows walk the pixel; the viewer's other keys work here as well, but for Enter, which presses buttons.
function inspectorKey(event) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!state.picked || event.target.matches("input, select")) return;
  if (!steps) return event.key === "Enter" ? undefined : viewerKey(event);
  event.preventDefault();
  const stride = event.shiftKey ? 8 : 1;
  walk(steps[0] * stride, steps[1] * stride);
}

// The picked pixel's maps as a file: the server draws the same figure that the command line does.
async function saveLook() {
  const { row, column, size } = pickedPixel();
  const [model, suffix] = [$(".look-model").value, $(".look-suffix").value];
  $(".look-save").disabled = true;
  const asked = sizeAsked(shownScale(), size);
  const sizeSent = asked.size && [asked.size.height, asked.size.width];
  const question = { model, suffix, scale: asked.scale, size: sizeSent, chain: state.chain, pixel: [row, column] };
  const answer = await ask("look_file", question);
  $(".look-save").disabled = false;
  if (!answer.file) return answer.error && !answer.expired && complain(answer.error);
  const bytes = Uint8Array.from(atob(answer.file), (character) => character.charCodeAt(0));
  const link = make("a", { href: URL.createObjectURL(new Blob([bytes])), download: answer.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function buildLegend() {
  root.style.setProperty("--viridis", `linear-gradient(to right, ${viridisStops})`);
  $(".legend").replaceChildren(
    make("span", {}, make("span", { class: "lowest" }, "0"), make("i", { class: "bar" }), "largest"),
    make("span", {}, make("i", { class: "hatched" }), "outside the picture"),
    make("span", {}, make("i", { class: "ring" }), "the pixel itself"),
  );
  const hatches = ["clit-hatch", "clit-hatch-soft"].map((id) =>
    svg(
      "pattern",
      { id, width: 0.28, height: 0.28, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("rect", { width: 0.09, height: 0.28 }),
    ),
  );
  root.append(svg("svg", { class: "definitions", "aria-hidden": "true" }, svg("defs", {}, ...hatches)));
}

export function buildInspector() {
  buildLegend();
  $(".shared-scale").addEventListener("change", (event) => {
    state.sharedScale = event.target.checked;
    changed("maps");
  });
  const quantities = Object.entries(QUANTITIES).map(([value, { label }]) => make("option", { value }, label));
  $(".quantity").replaceChildren(...quantities);
  $(".quantity").addEventListener("change", (event) => {
    state.quantity = event.target.value;
    changed("maps");
  });
  $(".look-save").addEventListener("click", saveLook);
  $(".unpick").addEventListener("click", unpick);
  $(".pin-toggle").addEventListener("click", pin);
  $(".inspector").addEventListener("keydown", inspectorKey);
  $(".inspector").addEventListener("scroll", hintMore, true); // of the tables inside: that does not bubble
  new ResizeObserver(hintMore).observe($(".inspector"));
  subscribe(["picture", "rest", "panes", "pixel", "pins", "looks", "maps"], showInspector);
}
