// @ts-check
// Which input pixels the picked pixel comes from: asked for step by step while the tab is seen, the chosen method first. A map
// of an older pixel is never taken for that of a newer one.

import { outputSize, pickedPixel, shownScale, sizeAsked } from "./geometry.js";
import { isPhone } from "./menus.js";
import { isHeld } from "./passes.js";
import { ask } from "./server.js";
import { changed, state, subscribe } from "./store.js";
import { chosenTrace, isTracing, readTraceMap, traceOf, traceSubject, tracedMethods } from "./trace_maps.js";

const REST_MS = 300; // a pixel that walks is not asked about at every step
const AGAIN_MS = 1000; // after an answer that others made stale

let run = 0; // number of the newest one; what an older one still hears is not shown
let running = "";
let waiting = 0;

const isSeen = () => isTracing() && (isPhone() ? state.dock.sheet === "half" : state.dock.open);

/** The method to ask about next: the chosen one until it is done, then the others. */
const nextMethod = () => [chosenTrace(), ...tracedMethods()].find((name) => name && !traceOf(name)?.isLast);

/** Whether it goes on only when that is asked for. */
export const isStopped = () => state.traces.state === "stopped" || state.traces.state === "failed";

const mayRun = () => isSeen() && !isHeld() && state.traces.about && !isStopped();

/** Begin about another pixel, or go on about this one, once the hand rests. */
function follow() {
  const about = traceSubject();
  if (about !== state.traces.about) {
    run += 1;
    running = "";
    Object.assign(state.traces, { about, state: "idle", error: "", found: new Map() });
    changed("traces");
  }
  clearTimeout(waiting);
  if (!running && mayRun() && nextMethod()) waiting = setTimeout(work, REST_MS);
}

async function work() {
  const about = traceSubject();
  if (running || about !== state.traces.about || !mayRun()) return;
  const number = (run += 1);
  running = about;
  Object.assign(state.traces, { state: "running" });
  changed("traces");
  let name = nextMethod();
  while (name && mayRun()) {
    const answer = await ask("trace_pixel", { model: name, ...wish() }, () => number !== run);
    if (number !== run) return;
    if (about !== traceSubject()) break; // the topic that says so is on its way
    if (answer.error) {
      Object.assign(state.traces, { state: answer.expired ? "idle" : "failed", error: answer.error });
      break;
    }
    if (answer.stale) await new Promise((done) => setTimeout(done, AGAIN_MS));
    else note(name, answer);
    if (number !== run) return;
    name = nextMethod();
  }
  running = "";
  if (state.traces.state === "running") state.traces.state = "idle";
  changed("traces");
}

function wish() {
  const { row, column } = pickedPixel();
  const { scale, size } = sizeAsked(shownScale(), outputSize(shownScale()));
  return { pixel: [row, column], scale, size: size && [size.height, size.width], chain: state.chain, objective: state.traces.objective };
}

/** @param {string} name @param {any} answer */
function note(name, { done, steps, is_last: isLast, found }) {
  const map = found ? readTraceMap(found) : (traceOf(name)?.map ?? null);
  state.traces.found.set(name, { done, steps, isLast, map });
  changed("traces");
}

/** Stop, or go on where it was. */
export function toggleTracing() {
  const { traces } = state;
  run += 1;
  running = "";
  Object.assign(traces, { state: isStopped() ? "idle" : "stopped", error: "" });
  changed("traces");
}

/** @param {string} objective */
export function explain(objective) {
  state.traces.objective = objective;
  changed("traces");
}

/** @param {string} name of a method */
export function chooseTrace(name) {
  state.traces.chosen = name;
  changed("traces");
}

export function buildTraces() {
  subscribe(["picture", "opening", "view", "panes", "chain", "pixel", "dock", "forgotten", "traces"], follow);
}
