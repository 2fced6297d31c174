// @ts-check
// The pinned pixels: a column each beside the picked one, a row per method and stage, all of the map drawn large.

import { $, make } from "./dom.js";
import { pixelOf } from "./geometry.js";
import { mapButton, patchFigure } from "./map_pictures.js";
import { lookRows } from "./maps.js";
import { inspected, lookedAt, pickPlace, unpin } from "./pixel.js";
import { state } from "./store.js";

/** @import { Row, WeightMap } from "./maps.js" */

/** @param {(row: Row, map: WeightMap) => void} enlarge what a map does that is pointed at */
export function showPins(enlarge) {
  $(".pins").hidden = !state.pins.length;
  if (!state.pins.length) return;
  const columns = lookedAt().map((place, index) => ({
    place,
    number: index + (state.picked ? 0 : 1), // 0 is the picked pixel
    rows: inspected()
      .filter((name) => place.looks.has(name))
      .flatMap((name) => lookRows(state.models.get(name), place.looks.get(name), place)),
  }));
  const keys = [...new Set(columns.flatMap(({ rows }) => rows.map(({ key }) => key)))];
  const lines = keys.map((key) => pinLine(columns.map(({ rows }) => rows.find((row) => row.key === key)), enlarge));
  $(".pins").replaceChildren(
    make("h3", {}, "Pinned pixels"),
    make(
      "div",
      { class: "pins-scroll", role: "region", tabindex: 0, "aria-label": "Pinned pixels, side by side" },
      make(
        "table",
        {},
        make("thead", {}, make("tr", {}, make("td", {}), ...columns.map(pinHead))),
        make("tbody", {}, ...lines),
      ),
    ),
  );
}

function pinHead({ place, number }) {
  const { row, column } = pixelOf(place);
  const where = make("span", { class: "note" }, `row ${row}, column ${column}`);
  if (!number) return make("th", { scope: "col" }, "Picked", where);
  const go = make("button", { type: "button", class: "button pin-go", title: "Make this the picked pixel" }, `Pin ${number}`);
  go.addEventListener("click", () => pickPlace(place));
  const away = make("button", { type: "button", class: "button pin-away", "aria-label": `Let pin ${number} go` }, "×");
  away.addEventListener("click", () => unpin(number - 1));
  return make("th", { scope: "col" }, go, away, where);
}

function pinLine(found, enlarge) {
  const { model, note } = found.find(Boolean);
  const cells = found.map((row) => {
    if (!row) return make("td", {}, "…");
    const map = row.maps[Math.min(state.enlarged.map, row.maps.length - 1)];
    const button = mapButton(row, map, () => enlarge(row, map));
    return make("td", {}, make("div", { class: "pin-cell" }, patchFigure(row), button));
  });
  const label = make("th", { scope: "row" }, make("span", { class: "method-name" }, model.label), make("span", { class: "note" }, note));
  return make("tr", {}, label, ...cells);
}
