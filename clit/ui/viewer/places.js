// @ts-check
// Where two methods differ most: the view flies to the next of a few places at each press.

import { $ } from "./dom.js";
import { engine } from "./engine.js";
import { shownScale } from "./geometry.js";
import { differenceParts, modelOf, shortLabel } from "./models.js";
import { complain } from "./notice.js";
import { isStacked, shownPanes } from "./panes.js";
import { isHeld } from "./passes.js";
import { changed, state, subscribe } from "./store.js";
import { flyTo } from "./view.js";

/** @import { MethodAsked } from "./engine.js" */
/** @import { Model } from "./models.js" */

let asking = false;

/** The two that are compared: those of a difference pane, the two in one place, the first two networks, the first two. @returns {Model[]} */
function compared() {
  const names = shownPanes().map((pane) => pane.model);
  const told = names.map(differenceParts).find(Boolean);
  if (told) return told.map(modelOf).every((model) => model?.available) ? told.map(modelOf) : [];
  const methods = [...new Set(names)].map(modelOf).filter((model) => model?.available && !model.error);
  const networks = methods.filter((model) => model.kind !== "plain");
  const two = (!isStacked() && networks.length > 1 ? networks : methods).slice(0, 2);
  return two.length === 2 ? two : [];
}

/** @param {Model} model @returns {MethodAsked} */
const asked = ({ of, stop }) => ({ model: of, stages: stop ?? null });

/** What an answer is about, but for the scale. @param {Model[]} models */
const subject = (models) => JSON.stringify([state.picture.id, models.map(({ name }) => name), state.chain]);

/** Whether the places at hand are those that would be found now. @param {Model[]} models */
function areKnown(models) {
  if (!state.places || state.places.about !== subject(models)) return false;
  const { asked, scale } = state.places;
  const isMost = scale < asked; // they are never compared at a larger one
  return shownScale() === asked || (isMost && shownScale() >= scale);
}

/** Fly to the next place, or find them first. */
export async function showNextPlace() {
  const models = compared();
  if (!models.length || asking || isHeld()) return;
  if (!areKnown(models) && !(await find(models))) return;
  const { list } = state.places;
  const at = (state.places.at + 1) % list.length;
  state.places = { ...state.places, at };
  flyTo({ y: list[at].top + list[at].height / 2, x: list[at].left + list[at].width / 2 });
  changed("places");
}

/** Find the places: whether there are any. @param {Model[]} models */
async function find(models) {
  const [about, scale] = [subject(models), shownScale()];
  const [first, second] = models.map(asked);
  complain("");
  asking = true;
  changed("places");
  const answer = await engine.differences({ methods: [first, second], scale, chain: state.chain });
  asking = false;
  changed("places");
  if (!answer || !state.picture || subject(compared()) !== about || shownScale() !== scale) return false; // it has become another question
  if ("error" in answer) {
    if (!answer.expired) complain(answer.error);
    return false;
  }
  const names = models.map(shortLabel).join(" and ");
  if (!answer.places.length) {
    complain(`${names} do not differ at ×${answer.scale}: choose others to compare, or another scale.`);
    return false;
  }
  state.places = { about, names, asked: scale, scale: answer.scale, list: answer.places, at: -1 };
  return true;
}

/** Show no place; the next one is the first again. */
export function leavePlaces() {
  if (!state.places) return;
  state.places.at = -1;
  changed("places");
}

function showButton() {
  const models = state.picture ? compared() : [];
  if (state.places && !(models.length && areKnown(models))) {
    state.places = null;
    changed("places");
  }
  const { at = -1, list = [], names, scale } = state.places ?? {};
  const button = $(".differ");
  button.disabled = !models.length;
  button.setAttribute("aria-busy", String(asking));
  const count = at < 0 ? "" : `${at + 1} of ${list.length}`;
  $(".differ-count").textContent = asking ? "…" : count;
  button.setAttribute("aria-label", `Where they differ most${count && `: ${count}`}`);
  const two = models.map(shortLabel).join(" and ");
  if (!models.length) button.title = "Show two methods to be taken where they differ most";
  else if (at < 0) button.title = `Where ${two} differ most: one place after the other (D)`;
  else button.title = `${names} differ by ${list[at].difference.toFixed(1)} of 255 in brightness here, at ×${scale}. Press for the next place (D)`;
}

export function buildPlaces() {
  $(".differ").addEventListener("click", showNextPlace);
  subscribe(["models", "picture", "panes", "view", "chain", "places"], showButton);
}
