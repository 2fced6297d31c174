// @ts-check
// A tour of four stops, in a bar on the picture's lower edge. Only its button goes on: a hand that plays skips nothing.

import { $, $$ } from "./dom.js";
import { pick } from "./pixel.js";
import { state } from "./store.js";
import { setScale, zoom } from "./view.js";

const GUIDE_KEY = "clit-guide";
const GUIDE = [
  {
    text: "The same small picture, enlarged four ways at once. Drag the scale, or press the button to see ×20.",
    touch: "The same small picture, enlarged by two methods: drag the handle. The button below shows ×20.",
    target: ".scale",
    action: "Enlarge ×20",
    act: () => setScale(20),
  },
  {
    text: "Every pane shows the same place. Drag to move, use the wheel to go deeper; a dot fills when a pane is exact.",
    touch: "Every pane shows the same place. Drag to move, pinch to go deeper; a dot fills when a pane is exact.",
    target: ".panes",
    action: "Magnify 2×",
    act: () => zoom({ magnification: 2 }),
  },
  {
    text: "LIIF blends four neighbours by distance. LIT and CLIT attend to forty-nine: click a pixel on an edge to see which.",
    touch: "LIIF blends four neighbours by distance. LIT and CLIT attend to forty-nine: tap a pixel on an edge to see which.",
    target: ".panes",
    action: "Pick a pixel",
    act: () => pick(state.pane.height / 2, state.pane.width / 2),
  },
  {
    text: "Each small map is one head: bright neighbours count. Once you clicked, the arrow keys walk the pixel; Pin keeps it.",
    touch: "Each small map is one head: bright neighbours count. Tap another pixel to compare; Pin keeps this one.",
    target: ".dock",
    action: "Done",
    act: endGuide,
  },
];

// Some frames may not store anything: the guide then greets again.
function remembered() {
  try {
    return localStorage.getItem(GUIDE_KEY) === "seen";
  } catch {
    return false;
  }
}

function endGuide() {
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
}

/** @param {boolean} greets whether to begin at once */
export function buildGuide(greets) {
  $(".guide-end").addEventListener("click", endGuide);
  $(".guide-again").addEventListener("click", () => showGuide(0));
  if (greets && !remembered()) showGuide(0);
}
