// The viewer: panes that show one continuous picture through the same view, and what a picked pixel looked at.
//
// gradio runs this file as the body of a function with `element`, `trigger`, `props`, `server`, `upload` and `watch`.
// Everything that changes is in `state`; the rest are small functions on it. Three kinds of coordinates occur:
//   LR      pixels of the small picture; pixel i covers i .. i + 1, so its centre is i + 0.5
//   output  pixels of the enlarged picture, at some size {height, width}
//   screen  CSS pixels of a pane, from its top left corner
// A view is (scale, magnification, centre in LR pixels). Networks render the scale; magnification only draws larger.

const root = element.querySelector(".clit-page");
const $ = (selector) => root.querySelector(selector);

const MAGNIFICATIONS = [1 / 16, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 2, 3, 4, 6, 8, 12, 16];
const TICKS = [1, 2, 4, 8, 16, 30];
const SLIDER_STEPS = 400;
const FIRST_SCALE = 4;
const FIRST_PANES = ["input", "liif-light", "lit-light", "clit-light"];
const COARSE_FACTOR = 4; // the preview has a sixteenth of the pixels
const COARSE_FROM = 2; // below this scale a quarter of it is no scale at all
const COARSE_WORTH_MS = 150; // an exact pass quicker than this needs no preview
const SETTLE_MS = 40; // the exact pass waits until the view has rested this long
const AHEAD_SCALE = 2; // while the view rests the whole picture is drawn once at up to this scale, if that has no more
const AHEAD_PIXELS = 160_000; // pixels than this: a preview of all views up to COARSE_FACTOR times as large
const AHEAD_MS = 250; // after this long a rest
const AHEAD_AGAIN_MS = 2000; // where the server had others to answer
const OVERVIEW_FROM = 4.2; // a pane that would need this many times its own pixels (magnification under a half)
const OVERVIEW_AREA = 1.5; // is rendered with this many times its own, at a smaller scale, and says so
const PANE_HEIGHT = [0.9, 0.45, 0.66, 0.9, 1.15]; // of its width: narrow pages first, then one to four side by side
const CURVE_SCALES = [2, 3, 4, 6, 8, 12, 16, 24, 30];
const FEW_PIXELS = 24; // a side of a small picture below this is worth a word
const CURVE_LEAST = 8; // a small picture keeps at least so many pixels a side
const CURVE_COLOURS = ["#8a929c", "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00"]; // Okabe and Ito
const LINK_MS = 300; // the address bar follows the view at this pace: browsers refuse to be told more often
const MOST_PINS = 4;
const CLICK_PIXELS = 4; // a pointer that moved less than this has clicked

const state = {
  token: null,
  limits: { scale: 30, upload_bytes: 0, view_pixels: Infinity },
  models: new Map(), // name -> {name, label, family, kind, available, reason}
  picture: null, // {id, name, height, width, credit, notice, bitmap, example, truth: its scale or null}
  scores: new Map(), // model -> Map of scale -> {psnr, ssim, psnr_rgb}, where there is a ground truth
  curving: false, // whether PSNR against scale is being computed
  opening: false, // another picture is on its way: questions about this one would be stale
  view: { scale: FIRST_SCALE, magnification: 1, y: 0, x: 0 },
  size: null, // {height, width} of the whole output where its axes have scales of their own
  chain: "published", // how CLIT splits the scale
  paint: "colours", // what panes of LIT and CLIT show, one of PAINTS
  head: 0, // whose entropy or direction, from 1; 0 the mean of all
  paneCount: FIRST_PANES.length,
  wipe: null, // or where the second pane begins to lie over the first, 0..1 of the width
  wanted: 0, // number of the newest view; an answer to an older one never replaces a newer one
  changedAt: 0,
  whole: null, // with a ground truth: how the whole picture was seen before
  rested: false, // the view has not changed for SETTLE_MS
  pane: { width: 0, height: 0 },
  panes: [],
  ahead: new Map(), // model -> frame of the whole picture, see drawAhead
  drawingAhead: false,
  picked: null, // {y, x} in LR pixels
  looks: new Map(), // model -> {row, column, size, chain, answer}
  pins: [], // up to MOST_PINS other pixels: {y, x, looks}
  looking: false,
  hovered: null, // {y, x, height, width} of a neighbour under the pointer, in LR pixels
  sharedScale: false,
  quantity: "weights", // what the maps show, one of QUANTITIES
  rows: [], // what the inspector shows, see lookRows
  enlarged: { row: "", map: 0 }, // which of its maps is drawn large, with numbers
  magnifier: false,
  kinds: {}, // what can be made -> suffixes of its files
  filmFrames: 0,
  making: { run: 0, state: "idle" }, // newest state of the file being made
};

// Small helpers

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const sameSize = (a, b) => a.height === b.height && a.width === b.width;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const times = (scale) => "×" + (scale < 10 ? scale.toFixed(2) : scale.toFixed(1).replace(/[.]0$/, ""));

// Python's round: halves go to the even neighbour. Sizes must agree with the server's to the pixel.
function roundHalfEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

async function decodeWebp(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at); // Uint8Array.from takes ten times as long
  const blob = new Blob([bytes], { type: "image/webp" });
  return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

// The server

// Every question carries the visit's token and the open picture. An answer with `error` is one sentence for a person.
async function ask(question, details = {}) {
  const request = { token: state.token, picture: state.picture?.id, ...details };
  let answer;
  try {
    answer = await server[question](request);
  } catch (error) {
    console.warn(error);
  }
  answer ??= { error: "The server does not answer: check the connection, then try again." };
  if (answer.expired) await restart(answer.error, request.token);
  return answer;
}

function serverUrl(path) {
  const base = window.gradio_config?.root || new URL(".", document.baseURI).href;
  return base.replace(/[/]$/, "") + "/" + path;
}

async function begin() {
  const offer = await ask("begin");
  if (offer.error) {
    complain(offer.error);
    return null;
  }
  state.token = offer.token;
  state.kinds = offer.kinds;
  state.filmFrames = offer.film_frames;
  state.limits = offer.limits;
  state.models = new Map(offer.models.flatMap(variants).map((model) => [model.name, model]));
  return offer;
}

// A cascade can also be seen after its earlier stages: each is a choice of its own, `of` the same model.
function variants(model) {
  const whole = { ...model, of: model.name, stop: null, group: model.ablation ? "Ablations" : "" };
  if (model.ablation) return [whole];
  const stops = Array.from({ length: Math.max(model.stages, 1) - 1 }, (_, index) => index + 1);
  const early = stops.map((stop) => ({
    ...whole,
    name: `${model.name}@${stop}`,
    label: `${model.label}, after stage ${stop}`,
    stop,
  }));
  return [whole, ...early];
}

// What only a picture with its ground truth can show: that itself, and how far each method is from it.
function truthModels() {
  const truth = { name: "truth", of: "truth", label: "Ground truth", kind: "plain", group: "", available: true, stages: 1 };
  const errors = [...state.models.values()]
    .filter((model) => model.available && !model.stop)
    .map((model) => ({ ...model, name: `error:${model.name}`, label: `Error of ${model.label}`, group: "Errors", error: true }));
  return [truth, ...errors];
}

const modelOf = (name) =>
  state.models.get(name) ?? (state.picture?.truth ? truthModels().find((model) => model.name === name) : undefined);

// The server has forgotten this visit (a long pause, or a restart): begin another, and reopen what it can reopen.
async function restart(sentence, token) {
  if (token !== state.token) return; // another question noticed first
  const example = state.picture?.example;
  const view = { ...state.view };
  const offer = await begin();
  if (!offer) return;
  if (example) {
    await openExample(example);
    changeView(view);
  } else {
    complain(sentence);
    showCaption("", false);
    state.picture = null;
    pictureChanged();
  }
}
