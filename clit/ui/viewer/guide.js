// @ts-check
// A guided start: four steps, each done by its button or by hand, that can be dismissed for good.

import { $, $$ } from "./dom.js";
import { pick } from "./pixel.js";
import { state, subscribe } from "./store.js";
import { setScale, zoom } from "./view.js";

const GUIDE_KEY = "clit-guide";
const GUIDE = [
  {
    text: "The same small picture, enlarged four ways at once. Drag the scale, or press the button to see ×12.",
    target: ".scale",
    action: "Enlarge ×12",
    act: () => setScale(12),
    done: (before) => state.view.scale !== before.scale,
  },
  {
    text: "Every pane shows the same place. Drag to move, use the wheel to go deeper; a dot fills when a pane is exact.",
    touch: "Every pane shows the same place. Drag to move, pinch to go deeper; a dot fills when a pane is exact.",
    target: ".panes",
    action: "Magnify 2×",
    act: () => zoom({ magnification: 2 }),
    done: (before) => ["y", "x", "magnification"].some((key) => state.view[key] !== before[key]),
  },
  {
    text: "LIIF blends four neighbours by distance. LIT and CLIT attend to forty-nine: click a pixel on an edge to see which.",
    touch: "LIIF blends four neighbours by distance. LIT and CLIT attend to forty-nine: tap a pixel on an edge to see which.",
    target: ".panes",
    action: "Pick a pixel",
    act: () => pick(state.pane.height / 2, state.pane.width / 2),
    done: (before) => state.picked && state.picked !== before.picked,
  },
  {
    text: "Each small map is one head: bright neighbours count. Once you clicked, the arrow keys walk the pixel; Pin keeps it.",
    touch: "Each small map is one head: bright neighbours count. Tap another pixel to compare; Pin keeps this one.",
    target: ".inspector",
    action: "Done",
    act: endGuide,
    done: () => false,
  },
];

/** @type {any} {at, before}: the step on show, and the view it was shown with */
let guided = null;

// Some frames may not store anything: the guide then greets again.
function remembered() {
  try {
    return localStorage.getItem(GUIDE_KEY) === "seen";
  } catch {
    return false;
  }
}

function endGuide() {
  guided = null;
  $(".guide").hidden = true;
  markGuided(null);
  try {
    localStorage.setItem(GUIDE_KEY, "seen");
  } catch (error) {
    console.warn(error);
  }
}

function markGuided(selector) {
  for (const node of $$(".guided")) node.classList.remove("guided");
  if (selector) $(selector).classList.add("guided");
}

function showGuide(at) {
  const step = GUIDE[at];
  $(".guide").hidden = false;
  $(".guide .step").textContent = `${at + 1} of ${GUIDE.length}`;
  $(".guide p").textContent = (matchMedia("(pointer: coarse)").matches && step.touch) || step.text;
  $(".guide-act").textContent = step.action;
  $(".guide-act").onclick = () => {
    step.act();
    if (at + 1 < GUIDE.length) showGuide(at + 1);
  };
  markGuided(step.target);
  guided = { at, before: { ...state.view, picked: state.picked } };
}

// Who does a step by hand is shown the next one.
function followGuide() {
  if (guided && GUIDE[guided.at].done(guided.before)) showGuide(guided.at + 1);
}

/** @param {boolean} greets whether to begin at once */
export function buildGuide(greets) {
  $(".guide-end").addEventListener("click", endGuide);
  $(".guide-again").addEventListener("click", () => {
    showGuide(0);
    $(".guide").scrollIntoView({ block: "center" });
  });
  subscribe(["picture"], () => guided && showGuide(guided.at)); // what opening it changed is nobody's step
  subscribe(["rest", "pixel"], followGuide);
  if (greets && !remembered()) showGuide(0);
}
