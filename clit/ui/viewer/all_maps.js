// @ts-check
// All maps in a window over the page: a table of every method, stage and head, and pinned pixels beside the picked one.

import { $, $$, make } from "./dom.js";
import { pickedPixel, shownScale } from "./geometry.js";
import { enlarge, shownRows } from "./inspector.js";
import { mapButton, patchFigure } from "./map_pictures.js";
import { QUANTITIES, isFixed, written } from "./maps.js";
import { times } from "./numbers.js";
import { showPins } from "./pins.js";
import { hold } from "./pixel.js";
import { changed, state, subscribe } from "./store.js";

function showAll() {
  if (!$(".all").open) return;
  if (!state.picked || !state.picture) return $(".all").close();
  const { row, column, size } = pickedPixel();
  $(".all-picked").textContent = `Row ${row} of ${size.height}, column ${column} of ${size.width}, at ${times(shownScale())}`;
  const fixed = isFixed() && QUANTITIES[state.quantity].ticks;
  $(".legend-least").textContent = fixed ? fixed[0][1] : "each map's smallest";
  $(".legend-most").textContent = fixed ? `${fixed.at(-1)[1]}, by the square root` : "its largest";
  $(".own-scale").checked = state.ownScale;
  const rows = shownRows();
  const focused = $$(".all .map-button").indexOf(document.activeElement);
  if (rows.length) $(".maps").replaceChildren(mapTable(rows));
  else $(".maps").replaceChildren(make("p", { class: "note" }, $(".inspector .empty").textContent));
  showPins(enlarge);
  if (focused >= 0) ($$(".all .map-button")[focused] ?? $(".maps")).focus();
  for (const button of $$(".all .map-button")) {
    const isLarge = button.dataset.row === state.enlarged.row && Number(button.dataset.map) === state.enlarged.map;
    button.setAttribute("aria-pressed", String(isLarge));
  }
  hintMore();
}

function mapTable(rows) {
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
    const lines = numbers.map((line) => make("span", {}, ...line.map((weight) => make("b", {}, written(weight)))));
    cells.push(make("td", { colspan: Math.max(1, heads) }, make("div", { class: "four" }, ...lines), what));
  }
  return make("tr", {}, label, make("td", {}, patchFigure(row)), ...cells);
}

// What is wider than the window fades at the right, as long as there is more.
function hintMore() {
  for (const each of $$(".maps, .pins-scroll")) {
    each.dataset.more = each.scrollWidth - each.clientWidth - each.scrollLeft > 4 ? "yes" : "no";
  }
}

export function buildAllMaps() {
  $(".legend").replaceChildren(
    make("span", {}, make("span", { class: "legend-least" }), make("i", { class: "bar" }), make("span", { class: "legend-most" })),
    make("span", {}, make("i", { class: "hatched" }), "outside the picture"),
    make("span", {}, make("i", { class: "ring" }), "the pixel itself"),
  );
  $(".all-maps").addEventListener("click", () => {
    hold(); // the table is of one pixel
    $(".all").showModal();
    showAll();
  });
  $(".all-close").addEventListener("click", () => $(".all").close());
  $(".all").addEventListener("click", (event) => event.target === $(".all") && $(".all").close()); // beside it
  $(".all").addEventListener("scroll", hintMore, true); // of the tables inside: that does not bubble
  $(".own-scale").addEventListener("change", (event) => {
    state.ownScale = event.target.checked;
    changed("maps");
  });
  subscribe(["picture", "rest", "panes", "pixel", "pins", "looks", "maps"], showAll);
}
