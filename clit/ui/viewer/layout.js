// @ts-check
// The panes on the page: their elements, and how large they are.

import { $, $$, make, root, svg } from "./dom.js";
import { modelOf, modelOptions, truthModels } from "./models.js";
import { choose, showPanes, shownPanes, toggleWipe, unanswered } from "./panes.js";
import { FIRST_PANES, changed, state, subscribe } from "./store.js";

/** @import { Pane } from "./panes.js" */

const PANE_HEIGHT = [0.9, 0.45, 0.66, 0.9, 1.15]; // of its width: narrow pages first, then one to four side by side

function makePane(model, index) {
  const menu = make("select", { "aria-label": `Method of pane ${index + 1}`, class: "method" });
  const mark = make("span", { class: "mark" });
  const canvas = make("canvas");
  const overlay = svg("svg", { class: "overlay", "aria-hidden": "true" });
  const empty = make("p", { class: "pane-empty", hidden: true });
  const stage = make("div", { class: "stage" }, canvas, overlay, empty);
  const element = make("figure", { class: "pane", "data-index": index }, make("figcaption", {}, menu, mark), stage);
  /** @type {Pane} */
  const pane = { model, menu, mark, canvas, overlay, empty, stage, element, ...unanswered() };
  menu.addEventListener("change", () => choose(pane, menu.value));
  menu.addEventListener("keydown", (event) => event.stopPropagation()); // its arrows choose, they do not pan
  return pane;
}

/** What each pane can show now; what went with the ground truth gives way to the input. */
function fillMenus() {
  const models = [...state.models.values(), ...(state.picture?.truth ? truthModels() : [])];
  for (const pane of state.panes) {
    pane.menu.replaceChildren(make("option", { value: "input" }, "Input"), ...modelOptions(models));
    if (pane.model !== "input" && !modelOf(pane.model)) choose(pane, "input");
  }
  showMethods();
}

function showMethods() {
  for (const pane of state.panes) {
    pane.menu.value = pane.model;
    pane.element.dataset.model = pane.model;
  }
}

// Of each pane's picture where so many rows of panes have the rest of the screen, below the controls.
function fullHeight(rows, gap) {
  const above = $(".panes").getBoundingClientRect().top + root.scrollTop;
  const caption = state.panes[0].element.querySelector("figcaption").offsetHeight + 8;
  return Math.max(160, Math.floor((innerHeight - above - gap * rows) / rows) - caption);
}

// Whole numbers of CSS pixels, so that canvas pixels and screen pixels coincide.
function layout() {
  const columns = state.wipe === null ? Math.min(state.paneCount, root.clientWidth >= 1000 ? 4 : 2) : 1;
  const gap = root.clientWidth >= 640 ? 12 : 6;
  const width = Math.floor(($(".panes").clientWidth - gap * (columns - 1)) / columns);
  for (const pane of state.panes) pane.element.hidden = !shownPanes().includes(pane);
  const height = document.fullscreenElement === root
    ? fullHeight(Math.ceil(shownPanes().length / (state.wipe === null ? columns : shownPanes().length)), gap)
    : Math.min(Math.round(width * PANE_HEIGHT[root.clientWidth >= 1000 ? columns : 0]), 900);
  $(".panes").dataset.wipe = state.wipe === null ? "no" : "yes";
  if (width < 1 || (width === state.pane.width && height === state.pane.height)) return;
  state.pane = { width, height };
  $(".panes").style.gridTemplateColumns = `repeat(${columns}, ${width}px)`;
  $(".panes").style.gap = `${gap}px`;
  for (const pane of state.panes) {
    pane.stage.style.height = `${height}px`;
    pane.canvas.width = width;
    pane.canvas.height = height;
  }
  changed("layout");
}

function showCounts() {
  for (const button of $$(".pane-count")) {
    button.setAttribute("aria-pressed", String(state.wipe === null && Number(button.textContent) === state.paneCount));
  }
  $(".wipe-toggle").setAttribute("aria-pressed", String(state.wipe !== null));
}

export function buildLayout() {
  state.panes = FIRST_PANES.map(makePane);
  $(".panes").replaceChildren(...state.panes.map((pane) => pane.element));
  for (const button of $$(".pane-count")) button.addEventListener("click", () => showPanes(Number(button.textContent)));
  $(".wipe-toggle").addEventListener("click", toggleWipe);
  root.addEventListener("fullscreenchange", layout);
  new ResizeObserver(layout).observe(root);
  layout();
  subscribe(["models", "picture"], fillMenus);
  subscribe(["panes"], showMethods);
  subscribe(["panes"], showCounts);
  subscribe(["panes"], layout);
}
