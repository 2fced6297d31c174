// @ts-check
// The tab that tells which input pixels the picked pixel comes from: a small map for every method shown.

import { css, viridis } from "./colours.js";
import { $, $$, make, svg } from "./dom.js";
import { pixelOf } from "./geometry.js";
import { viewerKey } from "./input.js";
import { shortLabel } from "./models.js";
import { shownPanes } from "./panes.js";
import { state, subscribe } from "./store.js";
import { chosenTrace, traceOf, tracePicture, traceSubject, tracedMethods } from "./trace_maps.js";
import { chooseTrace, explain, isStopped, toggleTracing } from "./traces.js";

/** @import { Trace, TraceMap } from "./trace_maps.js" */

const SQUARE = 64; // side of the maps in input pixels: what the diffusion index looks at

const OBJECTIVES = {
  texture: { label: "Texture", note: "Bright: input pixels that made the edges in 16 × 16 output pixels about this one what they are." },
  colour: { label: "Colour", note: "Bright: input pixels that made the brightness of this pixel what it is." },
};

/** @param {number} share */
const percent = (share) => `${(100 * share).toFixed(share < 0.00995 ? 2 : 1)} %`;

/** How far a method is, in a few words. @param {Trace | undefined} trace */
function progressText(trace) {
  if (!trace) return isStopped() ? "not begun" : "waits";
  return trace.isLast ? `${trace.steps} steps` : `${trace.done} of ${trace.steps} steps`;
}

function emptyText() {
  if (!state.picture) return "";
  if (!state.picked) {
    const how = matchMedia("(hover: hover)").matches ? "Click" : "Tap";
    return `${how} a pixel in any pane to see which input pixels it comes from, through the whole network.`;
  }
  return tracedMethods().length ? "" : "No pane shows a method: choose one in one of them.";
}

function showTraces() {
  const empty = emptyText();
  const panel = $(".traces");
  const isOpen = Boolean(state.picture && state.picked && !empty);
  panel.dataset.open = isOpen ? "yes" : "no";
  $(".traces .empty").textContent = empty;
  for (const button of $$(".objectives .button")) button.setAttribute("aria-pressed", String(button.value === state.traces.objective));
  if (!isOpen) return;
  const { row, column } = pixelOf(state.picked);
  $(".traced").textContent = `Row ${row}, column ${column}`;
  showProgress();
  const focused = $$(".trace-maps button").indexOf(document.activeElement);
  $(".trace-maps").replaceChildren(...tracedMethods().map(traceFigure));
  if (focused >= 0) $$(".trace-maps button")[focused]?.focus();
  $(".trace-note").textContent = OBJECTIVES[state.traces.objective].note;
  $(".trace-agreement").textContent = agreementText();
  $(".trace-input").hidden = shownPanes().some((pane) => pane.model === "input");
}

function showProgress() {
  const { error, about } = state.traces;
  const names = tracedMethods();
  const traces = names.map((name) => traceOf(name));
  const isDone = traces.every((trace) => trace?.isLast);
  const name = names.find((each, i) => each === chosenTrace() && !traces[i]?.isLast) ?? names.find((_, i) => !traces[i]?.isLast);
  const trace = name && traceOf(name);
  const at = name ? `${shortLabel(state.models.get(name))}: ${trace ? progressText(trace) : "starting…"}` : "";
  $(".trace-progress").hidden = isDone;
  $(".trace-progress progress").value = traces.reduce((sum, each) => sum + (each ? each.done / each.steps : 0), 0) / (names.length || 1);
  $(".trace-at").textContent = isStopped() ? `${error || "Stopped."} ${about === traceSubject() && trace ? at : ""}` : at;
  $(".trace-stop").textContent = isStopped() ? "Go on" : "Stop";
}

/** @param {string} name of a method */
function traceFigure(name) {
  const model = state.models.get(name);
  const trace = traceOf(name);
  const map = trace?.map;
  const chosen = name === chosenTrace();
  const told = map ? [`diffusion ${map.diffusion.toFixed(1)}`, `gap ${percent(map.gap)}`] : ["", ""];
  const label = `${shortLabel(model)}: ${[...told, progressText(trace)].filter(Boolean).join(", ")}`;
  const button = make("button", { type: "button", class: "trace-map", "aria-pressed": String(chosen), "aria-label": label, "data-model": name }, squarePicture(map));
  button.addEventListener("click", () => chooseTrace(name));
  const lines = [...told, progressText(trace)].map((text) => make("span", {}, text));
  return make("figure", {}, make("figcaption", { title: model.about }, make("b", {}, shortLabel(model))), button, make("div", { class: "trace-told" }, ...lines));
}

/** The square about the pixel, with ticks that leave its middle free. @param {TraceMap | null} [map] */
function squarePicture(map) {
  const { y, x } = state.picked;
  const [top, left] = [Math.floor(y) - SQUARE / 2, Math.floor(x) - SQUARE / 2];
  const picture = svg("svg", { viewBox: `${left} ${top} ${SQUARE} ${SQUARE}`, "aria-hidden": "true" });
  const { height, width } = state.picture;
  if (map) {
    picture.append(svg("rect", { x: 0, y: 0, height, width, fill: css(viridis(0)) })); // nothing comes from beyond the region
    picture.append(svg("image", { href: tracePicture(map, false), ...placeOf(map.region), preserveAspectRatio: "none" }));
  }
  const ticks = `M${x - 16} ${y}h6m20 0h6M${x} ${y - 16}v6m0 20v6`;
  for (const tone of ["dark", "light"]) picture.append(svg("path", { class: tone, d: ticks }));
  return picture;
}

/** @param {import("./engine.js").Window} region */
const placeOf = ({ top, left, height, width }) => ({ x: left, y: top, height, width });

function agreementText() {
  const name = chosenTrace();
  const agreement = traceOf(name)?.map?.agreement;
  if (agreement == null) return "";
  const label = shortLabel(state.models.get(name));
  return `Rank correlation of this map with ${label}'s attention (first stage), over its neighbours: ${agreement.toFixed(2)}. 0 is chance, 1 the same order.`;
}

export function buildTracesPanel() {
  const choose = ([value, { label }]) => {
    const button = make("button", { type: "button", class: "button", value, "aria-pressed": "false" }, label);
    button.addEventListener("click", () => explain(value));
    return button;
  };
  $(".objectives").replaceChildren(...Object.entries(OBJECTIVES).map(choose));
  $(".trace-stop").addEventListener("click", toggleTracing);
  $(".traces").addEventListener("keydown", (event) => {
    if (state.picked && event.key !== "Enter" && event.key !== " ") viewerKey(event); // the panes' keys work here too
  });
  subscribe(["models", "picture", "view", "panes", "chain", "pixel", "dock", "traces"], showTraces);
}
