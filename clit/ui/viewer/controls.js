// @ts-check
// Scale, magnification and size: their fields, and what is wrong with what was typed.

import { $, make, root } from "./dom.js";
import { outputSize, shownScale } from "./geometry.js";
import { closeMenus } from "./menus.js";
import { complain } from "./notice.js";
import { times } from "./numbers.js";
import { state, subscribe } from "./store.js";
import { MAGNIFICATIONS, fit, setScale, setSize, stepMagnification } from "./view.js";

const TICKS = [1, 2, 4, 8, 16, 30];
const SLIDER_STEPS = 400;
const SIDES = /** @type {const} */ (["width", "height"]);

const scaleToSlider = (scale) => Math.round((SLIDER_STEPS * Math.log(scale)) / Math.log(state.limits.scale));
const sliderToScale = (value) => Math.exp((value / SLIDER_STEPS) * Math.log(state.limits.scale));

function showScale() {
  const scale = shownScale();
  const slider = $(".scale-slider");
  if (Number(slider.value) !== scaleToSlider(scale)) slider.value = scaleToSlider(scale);
  slider.setAttribute("aria-valuetext", `times ${scale.toFixed(2)}`);
  slider.style.setProperty("--filled", `${(100 * slider.value) / SLIDER_STEPS}%`);
  const number = $(".scale-number");
  const wrong = number.getAttribute("aria-invalid") === "true";
  if (wrong && document.activeElement !== number) showError(""); // the view has moved on without it
  if (!wrong || document.activeElement !== number) number.value = scale.toFixed(2);
  for (const each of [slider, number]) each.disabled = Boolean(state.picture?.truth);
}

function magnificationText(magnification) {
  if (magnification >= 1) return `${magnification}×`;
  const isFraction = MAGNIFICATIONS.includes(magnification) && magnification !== 2 / 3;
  return isFraction ? `1/${Math.round(1 / magnification)}×` : `${magnification.toPrecision(2)}×`;
}

function showSize() {
  $(".magnify-value").textContent = magnificationText(state.view.magnification);
  const size = state.picture && outputSize(shownScale());
  for (const side of SIDES) {
    const field = $(`.size-${side}`);
    field.disabled = !size || Boolean(state.picture.truth);
    if (document.activeElement !== field) field.value = size ? size[side] : "";
  }
  $(".per-axis").textContent = sizeNote(size);
}

/** What the size means, or why it rests. @param {import("./numbers.js").Size | null} size */
function sizeNote(size) {
  if (state.picture?.truth) return "that of the ground truth: press Enlarge to change it";
  if (!state.size) return "";
  return `${times(size.width / state.picture.width)} across, ${times(size.height / state.picture.height)} down`;
}

/** One sentence about a wrong scale or size, and which field it is of; an empty one takes it back. */
function showError(sentence, wrong = ".scale-number") {
  const field = $(".field-error");
  field.textContent = sentence;
  field.hidden = !sentence;
  for (const each of [".scale-number", ".size-width", ".size-height"]) {
    $(each).setAttribute("aria-invalid", sentence && each === wrong ? "true" : "false");
  }
}

function enterScale(scale) {
  showError("");
  setScale(scale);
}

// A scale as people type it: 2.7, 2,7, x2.7. What is no such number gets one sentence and changes nothing.
function readScale() {
  const typed = $(".scale-number").value.trim();
  const bare = typed.replace(/^[x×]/i, "").replace(",", ".");
  const scale = bare === "" ? NaN : Number(bare);
  if (scale >= 1 && scale <= state.limits.scale) return enterScale(scale);
  showError(`The scale is ${typed.slice(0, 20) || "empty"}, but must be a number from 1 to ${state.limits.scale}.`);
}

// A size as people type it: both fields together say by how much each axis is enlarged.
function readSize() {
  if (!state.picture || state.picture.truth) return;
  const wanted = { height: NaN, width: NaN };
  for (const side of SIDES) {
    const typed = $(`.size-${side}`).value.trim();
    const most = Math.floor(state.picture[side] * state.limits.scale);
    if (/^[0-9]{1,6}$/.test(typed)) wanted[side] = Number(typed);
    if (!(wanted[side] >= state.picture[side] && wanted[side] <= most)) {
      const told = `The ${side} is ${typed.slice(0, 20) || "empty"}, but must be ${state.picture[side]} to ${most} pixels.`;
      return showError(told, `.size-${side}`);
    }
  }
  showError("");
  setSize(wanted);
}

function numberKey(event) {
  if (event.key === "Enter") readScale();
  if (event.key === "Escape") enterScale(state.view.scale);
  if (event.key === "ArrowUp" || event.key === "ArrowDown") {
    event.preventDefault();
    enterScale(shownScale() + (event.key === "ArrowUp" ? 0.1 : -0.1));
  }
}

async function toggleFullScreen() {
  try {
    await (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen());
  } catch (error) {
    console.warn(error); // a frame that may not
    complain("This browser does not allow full screen here: open the page in a window of its own.");
  }
}

export function buildControls() {
  $(".ticks").replaceChildren(
    ...TICKS.map((scale) => make("span", { style: `left: ${(100 * Math.log(scale)) / Math.log(30)}%` }, `×${scale}`)),
  );
  $(".scale-slider").addEventListener("input", (event) => enterScale(sliderToScale(Number(event.target.value))));
  $(".scale-number").addEventListener("change", readScale);
  $(".scale-number").addEventListener("keydown", numberKey);
  $(".magnify-in").addEventListener("click", () => stepMagnification(1));
  $(".magnify-out").addEventListener("click", () => stepMagnification(-1));
  $(".fit").addEventListener("click", () => {
    fit();
    closeMenus(); // to see it
  });
  for (const side of SIDES) $(`.size-${side}`).addEventListener("change", readSize);
  $(".full-screen").addEventListener("click", toggleFullScreen);
  root.addEventListener("fullscreenchange", () =>
    $(".full-screen").setAttribute("aria-pressed", String(document.fullscreenElement === root)),
  );
  subscribe(["view", "picture"], showScale);
  subscribe(["view", "picture"], showSize);
  subscribe(["picture"], () => showError("")); // about another picture's size
}
