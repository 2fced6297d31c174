// @ts-check
// Files made on request: the only questions that go through gradio's queue.

import { $, make } from "./dom.js";
import { outputSize, shownScale, sizeAsked, visibleWindow } from "./geometry.js";
import { isPhone } from "./menus.js";
import { modelOptions } from "./models.js";
import { clamp, duration, times } from "./numbers.js";
import { shownMethods } from "./panes.js";
import { areFinished, isHeld } from "./passes.js";
import { ask, serverUrl } from "./server.js";
import { changed, state, subscribe } from "./store.js";

const FILM_LARGEST = 400; // side of a method's frame at most, pixels
const CROP = 128; // side of a crop about a pinned place

const PREDICT_MS = 500; // after the last change

let predicted = { about: "", /** @type {number | null} */ seconds: null };
let waiting = 0;

const methods = () => shownMethods(() => true);

/** A kind of file as people write it. @param {string} suffix without its dot */
const fileKind = (suffix) => (suffix === "webp" ? "WebP" : suffix.toUpperCase());

function fillMaking() {
  const choices = [...state.models.values()].filter((model) => model.available && !model.stop);
  const chosen = $(".make-model").value;
  $(".make-model").replaceChildren(...modelOptions(choices));
  const named = (name) => choices.find((model) => model.name === name);
  const shown = state.panes.map((pane) => named(pane.model)).findLast((model) => model && model.kind !== "plain");
  const kept = named(chosen) ?? shown ?? choices.findLast((model) => !model.group);
  if (kept) $(".make-model").value = kept.name;
  const kinds = Object.entries(state.kinds).flatMap(([kind, suffixes]) =>
    suffixes.map((suffix) => make("option", { value: `${kind} ${suffix}` }, `${kind}, ${fileKind(suffix.slice(1))}`)),
  );
  if (!$(".make-kind").options.length) $(".make-kind").replaceChildren(...kinds);
}

const makingKind = () => $(".make-kind").value.split(" ");

/** What would be made now, as the server hears it. */
function wish() {
  const [kind, suffix] = makingKind();
  return { kind, suffix, chain: state.chain, ...makingDetails(kind) };
}

/** What a time that was told is about. */
const subject = () => JSON.stringify([state.picture.id, wish()]);

/** Ask how long it will take, once nothing else is asked for; the server does a small part of it to find out. */
function predict() {
  clearTimeout(waiting);
  const { tab, open, sheet } = state.dock;
  const seen = tab === "make" && (isPhone() ? sheet === "half" : open);
  if (!seen || isHeld() || $(".make-start").disabled || predicted.about === subject()) return;
  waiting = setTimeout(async () => {
    if (isHeld() || !areFinished()) return predict();
    const about = subject();
    const answer = await ask("predict_file", wish());
    if (!answer.stale) predicted = { about, seconds: answer.seconds ?? null }; // nothing where it cannot be made
    showMaking();
  }, PREDICT_MS);
}

// How long it will take, about, where that is known.
const makingTime = () => (predicted.seconds && predicted.about === subject() ? `, about ${duration(predicted.seconds)}` : "");

const filmSide = () => ({
  height: clamp(state.pane.height, 64, FILM_LARGEST),
  width: clamp(state.pane.width, 64, FILM_LARGEST),
});

// One line that says what the button will make.
function makingText() {
  const [kind] = makingKind();
  const scale = shownScale();
  const size = outputSize(scale);
  const names = methods().map((name) => state.models.get(name).label);
  if (kind !== "picture" && !names.length) return "of no method: choose some in the panes";
  const by = `by ${names.join(", ")}`;
  if (kind === "film") return `×1 to ${times(scale)} about ${state.picked ? "the picked pixel" : "the middle of the view"}, ${by}`;
  if (kind === "sheet") {
    const crops = state.pins.length ? `The ${state.pins.length} pinned place${state.pins.length > 1 ? "s" : ""}` : "This view";
    return `${crops} ${by}`;
  }
  return `${size.width} × ${size.height} pixels at ${times(scale)}`;
}

function showMaking() {
  const { making } = state;
  const running = making.state === "running";
  const [kind] = makingKind();
  $(".make-what").textContent = state.picture ? makingText() + makingTime() : "";
  $(".make-with").hidden = kind !== "picture";
  $(".make").dataset.state = making.state;
  $(".make-start").disabled = running || !state.picture || (kind !== "picture" && !methods().length);
  $(".make-progress").hidden = !running;
  $(".make-link").hidden = making.state !== "done";
  $(".make-error").hidden = !(making.state === "error" || making.state === "stopped");
  $(".make-error").textContent = making.state === "stopped" ? "Stopped." : (making.error ?? "");
  if (running) {
    $(".make-progress progress").value = making.done;
    const left = making.seconds_left;
    $(".make-left").textContent =
      left == null ? "Starting…" : `${Math.round(100 * making.done)} %, about ${duration(left)} left`;
  }
  predict();
  if (making.state === "done") {
    const [height, width] = making.size;
    const suffix = fileKind(making.name.split(".").at(-1));
    $(".make-link").href = serverUrl(making.file);
    $(".make-link").download = making.name;
    $(".make-link").textContent = `Download ${suffix}, ${width} × ${height}, ${(making.bytes / 1e6).toFixed(1)} MB`;
  }
}

// Crops of a sheet, in output pixels: about every pinned place, else what the view shows, as large as a pane at most.
function sheetCrops(size) {
  if (!state.pins.length) {
    const { top, left, height, width } = visibleWindow(size);
    return [[top, left, height, width]];
  }
  return state.pins.map(({ y, x }) => {
    const [height, width] = [Math.min(CROP, size.height), Math.min(CROP, size.width)];
    const top = Math.round((y * size.height) / state.picture.height - height / 2);
    const left = Math.round((x * size.width) / state.picture.width - width / 2);
    return [clamp(top, 0, size.height - height), clamp(left, 0, size.width - width), height, width];
  });
}

function makingDetails(kind) {
  const size = outputSize(shownScale());
  const asked = sizeAsked(shownScale(), size);
  const { y, x } = state.picked ?? state.view;
  const { height, width } = filmSide();
  const each = {
    picture: () => ({ models: [$(".make-model").value] }),
    film: () => ({ models: methods(), about: [y, x], side: [height, width] }),
    sheet: () => ({ models: methods(), crops: sheetCrops(size) }),
  };
  return { scale: asked.scale, size: asked.size && [asked.size.height, asked.size.width], ...each[kind]() };
}

/** @param {any} gradio what it gives a component */
export function buildMaking({ make: startMaking, watch, props }) {
  const set = (making) => {
    state.making = making;
    changed("making");
  };
  for (const menu of [".make-kind", ".make-model"]) $(menu).addEventListener("change", showMaking);
  $(".make-start").addEventListener("click", () => {
    const run = state.making.run + 1;
    set({ run, state: "running", done: 0, seconds_left: null });
    startMaking({ token: state.token, picture: state.picture.id, run, ...wish() });
  });
  $(".make-stop").addEventListener("click", () => {
    ask("stop_making");
    set({ run: state.making.run + 1, state: "stopped" }); // whatever the stopped run still says is not heard
  });
  watch("value", () => {
    if (props.value?.run === state.making.run) set(props.value);
  });
  subscribe(["models", "picture"], fillMaking);
  subscribe(["picture"], () => {
    if (["stopped", "error"].includes(state.making.state)) set({ run: state.making.run, state: "idle" });
  });
  subscribe(["models", "picture", "view", "panes", "layout", "frames", "pixel", "pins", "chain", "dock", "making"], showMaking);
}
