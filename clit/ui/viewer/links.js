// @ts-check
// Links: what is behind # holds example, scale, magnification, centre, panes, cascade and picked pixel.

import { CHAINS } from "./cascade.js";
import { GAINS, setGain } from "./difference.js";
import { isInside, shownScale } from "./geometry.js";
import { differenceParts, truthModels } from "./models.js";
import { clamp } from "./numbers.js";
import { PAINTS, setPaint } from "./paint.js";
import { shownPanes } from "./panes.js";
import { MOST_PINS, pickPlace, unpick } from "./pixel.js";
import { FIRST_GAIN, FIRST_PANES, changed, state } from "./store.js";
import { MAGNIFICATIONS, changeView, setSize } from "./view.js";

/** What the page shows, as it stands behind # in a link. */
export function writeLink() {
  const { view, picture, picked } = state;
  const near = (...numbers) => numbers.map((each) => Number(each.toFixed(6))).join(","); // to far less than a screen pixel
  const entries = {
    example: picture.example,
    scale: shownScale(),
    magnify: Number(view.magnification.toFixed(4)),
    at: near(view.y, view.x),
    panes: state.panes
      .slice(0, Math.max(state.paneCount, shownPanes().length))
      .map((pane) => pane.model)
      .join(","),
    gain: state.gain === FIRST_GAIN ? null : state.gain,
    wipe: state.wipe && Number(state.wipe.toFixed(4)),
    blink: state.blink === null ? null : "yes",
    chain: state.chain,
    truth: picture.truth,
    size: state.size && near(state.size.width, state.size.height),
    paint: state.paint === "colours" ? null : `${state.paint},${state.head}`,
    pixel: picked && near(picked.y, picked.x),
    pins: state.pins.length ? near(...state.pins.flatMap(({ y, x }) => [y, x])) : null,
  };
  const told = Object.entries(entries).filter(([, value]) => value != null);
  return told.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&");
}

/** The address that opens what the page shows. */
export const linkOfView = () => new URL(`#${writeLink()}`, location.href).href;

/** What a link asks for, with what it may not ask for left out. @param {string} text what stands behind # */
export function readLink(text) {
  const asked = new URLSearchParams(text);
  const numbers = (key) => {
    const found = (asked.get(key) ?? "").split(",").map((each) => (each === "" ? NaN : Number(each)));
    return found.every(Number.isFinite) ? found : [];
  };
  const [scale] = numbers("scale");
  const [magnification] = numbers("magnify");
  const known = new Set(["input", ...state.models.keys(), ...truthModels().map((model) => model.name)]);
  const named = (asked.get("panes") ?? "").split(",").filter((name) => name);
  const isKnown = (name) => known.has(name) || Boolean(differenceParts(name)?.every((part) => part !== "input" && known.has(part)));
  const panes = named.filter(isKnown);
  const [truth] = numbers("truth");
  const [paint, head] = (asked.get("paint") ?? "").split(",");
  return {
    example: asked.get("example"),
    scale: scale && clamp(scale, 1, state.limits.scale),
    magnification: magnification && clamp(magnification, MAGNIFICATIONS[0], MAGNIFICATIONS.at(-1)),
    at: numbers("at"),
    panes: panes.slice(0, FIRST_PANES.length),
    unknown: named.filter((name) => !isKnown(name)),
    chain: CHAINS.includes(asked.get("chain")) ? asked.get("chain") : "published",
    pixel: numbers("pixel"),
    pins: numbers("pins"),
    size: numbers("size"),
    paint: Object.hasOwn(PAINTS, paint ?? "") ? paint : "colours",
    head: Math.max(0, Math.round(Number(head)) || 0),
    truth: truth >= 1 && truth <= state.limits.scale ? truth : null,
    gain: GAINS.find((each) => each === numbers("gain")[0]) ?? FIRST_GAIN,
    wipe: numbers("wipe")[0],
    blink: asked.has("blink") && !asked.has("wipe") ? 0 : null,
  };
}

/** Go where a link leads in the picture that is open. @param {ReturnType<typeof readLink>} link */
export function followLink({ scale, magnification, at, pixel, pins, size, paint, head, gain }) {
  const { height, width } = state.picture;
  const view = { scale: scale || state.view.scale, magnification: magnification || 1 };
  if (at.length === 2) Object.assign(view, { y: at[0], x: at[1] });
  setPaint(paint, head);
  setGain(gain);
  state.size = null;
  changeView(view);
  const [across, down] = size;
  const fits = (n, least) => Number.isInteger(n) && n >= least && n <= least * state.limits.scale;
  if (!state.picture.truth && fits(across, width) && fits(down, height)) setSize({ height: down, width: across });
  const places = Array.from({ length: Math.floor(pins.length / 2) }, (_, i) => ({ y: pins[2 * i], x: pins[2 * i + 1] }));
  state.pins = places.filter(isInside).slice(0, MOST_PINS).map((place) => ({ ...place, looks: new Map() }));
  changed("pins");
  const [y, x] = pixel;
  if (pixel.length === 2 && isInside({ y, x })) pickPlace({ y, x });
  else unpick();
}
