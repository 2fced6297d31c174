// @ts-check
// The methods: what the server offers, what can be seen of a cascade on its way, what only a ground truth can show.

import { make } from "./dom.js";
import { state } from "./store.js";

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} of the method itself, where this is a part of what it does
 * @property {string} label
 * @property {string} group of the menu
 * @property {string} [family]
 * @property {"plain" | "ensemble" | "attention"} kind
 * @property {number} stages
 * @property {number} [heads]
 * @property {boolean} available
 * @property {string} [reason] why it is not
 * @property {string} [about] one line that says what it is
 * @property {number | null} [stop] after how many stages
 * @property {boolean} [error] whether it shows how far a method is from the ground truth
 * @property {[string, string]} [parts] the two methods, where it is what the first has more than the second
 */

/** A cascade can also be seen after its earlier stages: each is a choice of its own, `of` the same model. @param {any} model @returns {Model[]} */
export function variants(model) {
  const whole = { ...model, of: model.name, stop: null, group: model.ablation ? "Ablations" : "" };
  if (model.ablation) return [whole];
  const stops = Array.from({ length: Math.max(model.stages, 1) - 1 }, (_, index) => index + 1);
  const early = stops.map((stop) => ({
    ...whole,
    name: `${model.name}@${stop}`,
    label: `${model.label}, after stage ${stop}`,
    about: `${model.about}: what its first ${stop === 1 ? "stage makes" : `${stop} stages make`} of it`,
    stop,
  }));
  return [whole, ...early];
}

/** What only a picture with its ground truth can show: that itself, and how far each method is from it. @returns {Model[]} */
export function truthModels() {
  /** @type {Model} */
  const truth = { name: "truth", of: "truth", label: "Ground truth", kind: "plain", group: "", available: true, stages: 1, about: "The picture before it was made smaller" };
  const errors = [...state.models.values()]
    .filter((model) => model.available && !model.stop)
    .map((model) => ({ ...model, name: `error:${model.name}`, label: `Error of ${model.label}`, about: "How far it is from the ground truth: dark 0, bright 0.2 of full range", group: "Errors", error: true }));
  return [truth, ...errors];
}

const DIFFERENCE = "diff";

/** @param {string} more @param {string} less */
export const differenceName = (more, less) => [DIFFERENCE, more, less].join(":");

/** The two methods that a name calls the difference of, if it does. @param {string} name @returns {[string, string] | null} */
export function differenceParts(name) {
  const [kind, more, less, ...rest] = name.split(":");
  return kind === DIFFERENCE && less && more !== less && !rest.length ? [more, less] : null;
}

/** @param {string} name @returns {Model | undefined} */
export function modelOf(name) {
  const parts = differenceParts(name);
  if (parts) return differenceModel(name, parts);
  return state.models.get(name) ?? (state.picture?.truth ? truthModels().find((model) => model.name === name) : undefined);
}

/** @param {string} name @param {[string, string]} parts @returns {Model | undefined} */
function differenceModel(name, parts) {
  const [more, less] = parts.map((part) => modelOf(part));
  if (!more || !less) return undefined;
  const label = `${shortLabel(more)} − ${shortLabel(less)}`;
  const about = `How much brighter ${shortLabel(more)} is than ${shortLabel(less)}, by BT.601 luma: blue darker, orange brighter`;
  const available = more.available && less.available;
  const reason = (more.available ? less : more).reason;
  return { name, of: "", label, about, kind: "plain", group: "Differences", available, reason, stages: 1, parts };
}

/** What can be told of methods against one another, and against the ground truth where there is one. @param {string[]} names @returns {Model[]} */
export function differences(names) {
  const methods = [...new Set(names.flatMap((name) => differenceParts(name)?.toReversed() ?? [name]))]
    .map((name) => state.models.get(name))
    .filter((model) => model?.available);
  const pairs = methods.flatMap((less, index) => methods.slice(index + 1).map((more) => [more.name, less.name]));
  if (state.picture?.truth) pairs.push(...methods.map(({ name }) => [name, "truth"]));
  return pairs.map(([more, less]) => modelOf(differenceName(more, less)));
}

/** @param {Model | undefined} model */
export const isCascade = (model) => Boolean(model?.available && model.stages > 1);

/** Its name where there is little room: the light presets are those that the page is about. @param {Model} model */
export const shortLabel = (model) => model.label.replace(/ light(?=$|,)/, "");

/** Options of a menu; what is not a method of its own stands in groups, below the methods. @param {Model[]} models */
export function modelOptions(models) {
  const groups = new Map([["", []]]);
  for (const { name, available, label, reason, group, about, stop, error, parts } of models) {
    const explained = about && !stop && !error && !parts ? `${label}: ${about}` : label;
    const told = available ? explained : `${label} (no weights yet)`;
    const option = make("option", { value: name, disabled: !available, title: reason }, told);
    groups.set(group, [...(groups.get(group) ?? []), option]);
  }
  const [methods, ...others] = groups.values();
  const names = [...groups.keys()].slice(1);
  return [...methods, ...others.map((options, i) => make("optgroup", { label: names[i] }, ...options))];
}
