// @ts-check
// The panes on the page: their elements, and how large they are.

import { buildGains, gainMenu } from "./difference.js";
import { $, $$, make, svg } from "./dom.js";
import { LOUPE_SIDE } from "./loupe.js";
import { differences, modelOf, modelOptions, shortLabel, truthModels } from "./models.js";
import { choose, isStacked, showPanes, shownPanes, toggleBlink, toggleWipe, unanswered } from "./panes.js";
import { FIRST_PANES, changed, state, subscribe } from "./store.js";

/** @import { Pane } from "./panes.js" */

const GAP = 2; // CSS pixels between panes

function makePane(model, index) {
  const menu = make("select", { "aria-label": `Method of pane ${index + 1}`, class: "method" });
  const name = make("b");
  const decibel = make("span", { class: "decibel" });
  const mark = make("span", { class: "mark" });
  const chevron = svg("svg", { class: "chevron", width: 10, height: 6, "aria-hidden": "true" }, svg("path", { d: "M1 1l4 4 4-4" }));
  const canvas = make("canvas");
  const overlay = svg("svg", { class: "overlay", "aria-hidden": "true" });
  const loupe = make("canvas", { class: "loupe", width: LOUPE_SIDE, height: LOUPE_SIDE, hidden: true, "aria-hidden": "true" });
  const empty = make("p", { class: "pane-empty", hidden: true });
  const stage = make("div", { class: "stage" }, canvas, overlay, loupe, empty);
  const ends = [make("span", { class: "less" }), make("i", { class: "bar diverging", "aria-hidden": "true" }), "brighter"];
  const key = make("div", { class: "on-pane difference-key", hidden: true }, ...ends, make("span", { class: "range" }), gainMenu());
  const caption = make("figcaption", {}, name, chevron, decibel, mark, menu); // the menu covers the others, unseen
  const element = make("figure", { class: "pane", "data-index": index }, caption, stage, key);
  /** @type {Pane} */
  const pane = { model, method: model, isPart: false, menu, name, decibel, mark, canvas, overlay, loupe, empty, stage, key, element, ...unanswered() };
  menu.addEventListener("change", () => choose(pane, menu.value));
  menu.addEventListener("keydown", (event) => event.stopPropagation()); // its arrows choose, they do not pan
  return pane;
}

/** What each pane can show now; what went with the ground truth gives way to what was shown before. */
function fillMenus() {
  const names = [...new Set([...shownPanes(), ...state.panes])].map((pane) => pane.model);
  const models = [...state.models.values(), ...(state.picture?.truth ? truthModels() : []), ...differences(names)];
  for (const pane of state.panes) {
    const own = modelOf(pane.model);
    const offered = own && !models.some((model) => model.name === own.name) ? [...models, own] : models;
    pane.menu.replaceChildren(make("option", { value: "input" }, "Input: the small picture itself"), ...modelOptions(offered));
    if (pane.model !== "input" && !own) choose(pane, modelOf(pane.method) ? pane.method : "input");
  }
  showMethods();
}

function showMethods() {
  for (const pane of state.panes) {
    const model = modelOf(pane.model);
    pane.menu.value = pane.model;
    pane.element.dataset.model = pane.model;
    pane.name.textContent = model ? shortLabel(model) : "Input";
    pane.menu.title = model?.about ?? "The small picture itself, its pixels drawn as squares";
    pane.key.hidden = !model?.parts;
    if (model?.parts) pane.key.querySelector(".less").textContent = `${shortLabel(modelOf(model.parts[0]))} darker`;
  }
}

/** Columns of so many panes in an area: the panes' shorter sides shall be as long as can be. */
function columnsFor(count, height, width) {
  const shorter = (columns) => Math.min((width - GAP * (columns - 1)) / columns, height / Math.ceil(count / columns));
  const choices = Array.from({ length: count }, (_, index) => index + 1).filter((columns) => count % columns === 0);
  return choices.reduce((best, each) => (shorter(each) > shorter(best) ? each : best));
}

// Whole numbers of CSS pixels, so that canvas pixels and screen pixels coincide.
function layout() {
  const panes = $(".panes");
  for (const pane of state.panes) pane.element.hidden = !shownPanes().includes(pane);
  panes.dataset.wipe = state.wipe === null ? "no" : "yes";
  panes.dataset.blink = state.blink === null ? "no" : "yes";
  const count = isStacked() ? 1 : shownPanes().length;
  const columns = columnsFor(count, panes.clientHeight, panes.clientWidth);
  const rows = count / columns;
  const width = Math.floor((panes.clientWidth - GAP * (columns - 1)) / columns);
  const height = Math.floor((panes.clientHeight - GAP * (rows - 1)) / rows);
  panes.style.gridTemplateColumns = `repeat(${columns}, ${width}px)`;
  if (width < 1 || height < 1 || (width === state.pane.width && height === state.pane.height)) return;
  state.pane = { width, height };
  for (const pane of state.panes) {
    pane.stage.style.height = `${height}px`;
    pane.canvas.width = width;
    pane.canvas.height = height;
  }
  changed("layout");
}

function showCounts() {
  for (const button of $$(".pane-count")) {
    button.setAttribute("aria-pressed", String(!isStacked() && Number(button.textContent) === state.paneCount));
  }
  $(".wipe-toggle").setAttribute("aria-pressed", String(state.wipe !== null));
  $(".blink-toggle").setAttribute("aria-pressed", String(state.blink !== null));
}

export function buildLayout() {
  state.panes = FIRST_PANES.map(makePane);
  $(".panes").replaceChildren(...state.panes.map((pane) => pane.element));
  for (const button of $$(".pane-count")) button.addEventListener("click", () => showPanes(Number(button.textContent)));
  $(".wipe-toggle").addEventListener("click", toggleWipe);
  $(".blink-toggle").addEventListener("click", (event) => {
    toggleBlink();
    if (event.detail) $(".panes").focus({ preventScroll: true }); // a hand on the mouse next presses Space
  });
  new ResizeObserver(layout).observe($(".panes"));
  layout();
  subscribe(["models", "picture", "panes"], fillMenus);
  buildGains();
  subscribe(["panes"], showCounts);
  subscribe(["panes"], layout);
}
