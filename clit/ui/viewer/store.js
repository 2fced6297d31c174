// @ts-check
// All that changes on the page, and who is told of it. Whoever changes the state calls `changed` with what it touched;
// whoever shows something of it has subscribed. Nobody calls those who show things by hand.
//
// Three kinds of coordinates occur:
//   LR      pixels of the small picture; pixel i covers i .. i + 1, so its centre is i + 0.5
//   output  pixels of the enlarged picture, at some size {height, width}
//   screen  CSS pixels of a pane, from its top left corner
// A view is (scale, magnification, centre in LR pixels). Networks render the scale; magnification only draws larger.

/** @import { DifferencePlace, Frame, Look, Picture } from "./engine.js" */
/** @import { Model } from "./models.js" */
/** @import { Pane, Source } from "./panes.js" */
/** @import { Size } from "./numbers.js" */
/** @import { Trace } from "./trace_maps.js" */

/** @typedef {{y: number, x: number}} Place in LR pixels */
/** @typedef {Place & {looks: Map<string, Look>}} LookedAt a pixel, and what it looked at by each method */

/**
 * Where two methods differ most.
 * @typedef {object} Places
 * @property {string} about what was compared
 * @property {string} names of the two
 * @property {number} asked the scale that was shown
 * @property {number} scale at which they were compared
 * @property {DifferencePlace[]} list
 * @property {number} at the one shown, or -1
 */

/**
 * What can change:
 *   models    the methods that there are
 *   picture   the open picture
 *   opening   whether another is on its way
 *   view      scale, magnification, place, size
 *   rest      the view has rested for a moment
 *   panes     which methods are shown, and in how many panes
 *   layout    how large panes are
 *   wipe      where the second pane begins
 *   blink     which of two panes is seen
 *   frames    what panes have been answered, or wait for
 *   progress  how much is done of what they wait for
 *   gain      how far differences are amplified
 *   chain     how CLIT splits the scale
 *   paint     what panes of attention show
 *   pixel     the picked pixel
 *   pins      the pinned pixels
 *   looks     what these looked at, or whether that is being asked
 *   maps      how maps are shown
 *   live      the pixel under the pointer, with what it looked at
 *   hover     the neighbour under the pointer
 *   loupe     whether every pane shows a place larger, and which
 *   places    where two methods differ most
 *   scores    decibels
 *   traces    which input pixels the picked pixel comes from, and how maps of that are shown
 *   making    the file being made
 *   sharing   whether a file of the view is being made
 *   crowd     how many others draw while the server refuses us
 *   dock      which tab of the dock is open, and how far
 *   forgotten the server knows this visit no more
 * @typedef {"models" | "picture" | "opening" | "view" | "rest" | "panes" | "layout" | "wipe" | "blink" | "frames" | "progress" | "gain" | "chain" | "paint" |
 *   "pixel" | "pins" | "looks" | "maps" | "live" | "hover" | "loupe" | "places" | "scores" | "traces" | "making" | "sharing" | "crowd" | "dock" | "forgotten"} Topic
 */

export const FIRST_SCALE = 4;
export const FIRST_GAIN = 8;
export const FIRST_PANES = ["input", "liif-light", "lit-light", "clit-light"];

export const state = {
  /** @type {string | null} */
  token: null,
  /** @type {(Place & Size) | null} of a page that was saved, which has one view and no server: where that lies, in LR pixels */
  saved: null,
  /** @type {string | null} what the server said when it had forgotten a visit, while that is being mended */
  forgotten: null,
  limits: { scale: 30, upload_bytes: 0, view_pixels: Infinity },
  /** @type {Map<string, Model>} */
  models: new Map(),
  /** @type {string[]} names of the pictures that the server offers */
  examples: [],
  /** @type {Picture | null} */
  picture: null,
  opening: false, // another picture is on its way: questions about this one would be stale
  view: { scale: FIRST_SCALE, magnification: 1, y: 0, x: 0 },
  /** @type {Size | null} of the whole output where its axes have scales of their own */
  size: null,
  wanted: 0, // number of the newest view; an answer to an older one never replaces a newer one
  changedAt: 0,
  rested: false, // the view has not changed for a moment
  pane: { width: 0, height: 0 },
  /** @type {Pane[]} */
  panes: [],
  /** @type {Map<string, Source>} what differences are made of and no pane shows, by method */
  parts: new Map(),
  gain: FIRST_GAIN, // of differences
  paneCount: FIRST_PANES.length,
  /** @type {number | null} or where the second pane begins to lie over the first, 0..1 of the width */
  wipe: null,
  loupe: false, // whether its button is on
  /** @type {number | null} or which of the first two panes is seen, 0 or 1, where they lie in one place */
  blink: null,
  chain: "published", // how CLIT splits the scale
  paint: "colours", // what panes of LIT and CLIT show, one of PAINTS
  head: 0, // whose entropy or direction, from 1; 0 the mean of all
  /** @type {Map<string, Frame>} model -> frame of the whole picture, see ahead.js */
  ahead: new Map(),
  drawingAhead: false,
  /** @type {Place | null} */
  picked: null,
  /** @type {Map<string, Look>} of the picked pixel */
  looks: new Map(),
  /** @type {LookedAt[]} */
  pins: [],
  looking: false,
  /** @type {LookedAt | null} the pixel under the pointer, once it is known what it looked at */
  live: null,
  mapPainted: true, // whether the chosen map lies on the pictures
  /** @type {(Place & Size) | null} a neighbour under the pointer, in LR pixels */
  hovered: null,
  ownScale: false, // whether each map has colours from its own smallest value to its largest, in place of one scale for all
  quantity: "weights", // what the maps show, one of QUANTITIES
  enlarged: { row: "", map: 0 }, // which of its maps is drawn large, with numbers
  /** @type {Places | null} */
  places: null,
  /** @type {Map<string, Map<number, any>>} model -> scale -> {psnr, ssim, psnr_rgb}, where there is a ground truth */
  scores: new Map(),
  curving: false, // whether PSNR against scale is being computed
  /**
   * Which input pixels the picked pixel comes from. about: what `found` is about; state: "idle", "running", "stopped", or
   * "failed" with an error; chosen: the method that comes first and is painted.
   * @type {{about: string, state: string, error: string, found: Map<string, Trace>, chosen: string, objective: string}}
   */
  traces: { about: "", state: "idle", error: "", found: new Map(), chosen: "", objective: "texture" },
  /** @type {Record<string, string[]>} what can be made -> suffixes of its files */
  kinds: {},
  /** @type {any} newest state of the file being made */
  making: { run: 0, state: "idle" },
  sharing: false, // a file of the view is being made
  /** @type {number | null} other visitors that the server is busy with, while it has refused a question of ours for that */
  crowd: null,
  dock: { tab: "attention", open: true, sheet: "peek" }, // sheet: how far it is open on phones, "peek" or "half"
};

/** @type {{topics: Topic[], react: () => void}[]} */
const reactions = [];
/** @type {Set<Topic>} */
let waiting = new Set();

/**
 * Call `react` after any of these has changed: once, however many did.
 * @param {Topic[]} topics @param {() => void} react
 */
export function subscribe(topics, react) {
  reactions.push({ topics, react });
}

/** Say what has changed; who has subscribed is told when the present work is done. @param {...Topic} topics */
export function changed(...topics) {
  if (!waiting.size) queueMicrotask(tell);
  for (const topic of topics) waiting.add(topic);
}

function tell() {
  const topics = waiting;
  waiting = new Set();
  for (const { topics: heard, react } of reactions) {
    if (!heard.some((topic) => topics.has(topic))) continue;
    try {
      react();
    } catch (error) {
      reportError(error); // the others are told all the same
    }
  }
}
