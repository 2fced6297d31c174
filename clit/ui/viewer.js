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
const COARSE_FACTOR = 3; // the preview has a ninth of the pixels
const COARSE_FROM = 2; // below this scale a third of it is no scale at all
const COARSE_WORTH_MS = 150; // an exact pass quicker than this needs no preview
const SETTLE_MS = 60; // the exact pass waits until the view has rested this long
const OVERVIEW_FROM = 4.2; // a pane that would need this many times its own pixels (magnification under a half)
const OVERVIEW_AREA = 1.5; // is rendered with this many times its own, at a smaller scale, and says so
const PANE_HEIGHT = [0.9, 0.45, 0.66, 0.9, 1.15]; // of its width: narrow pages first, then one to four side by side
const CURVE_SCALES = [2, 3, 4, 6, 8, 12, 16, 24, 30];
const CURVE_LEAST = 8; // a small picture keeps at least so many pixels a side
const CURVE_COLOURS = ["#8a929c", "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00"]; // Okabe and Ito
const LINK_MS = 300; // the address bar follows the view at this pace: browsers refuse to be told more often
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
  chain: "published", // how CLIT splits the scale
  paneCount: FIRST_PANES.length,
  wipe: null, // or where the second pane begins to lie over the first, 0..1 of the width
  wanted: 0, // number of the newest view; an answer to an older one never replaces a newer one
  changedAt: 0,
  pane: { width: 0, height: 0 },
  panes: [],
  picked: null, // {y, x} in LR pixels
  looks: new Map(), // model -> {row, column, scale, answer}
  looking: false,
  hovered: null, // {y, x, height, width} of a neighbour under the pointer, in LR pixels
  sharedScale: false,
  quantity: "weights", // what the maps show, one of QUANTITIES
  rows: [], // what the inspector shows, see lookRows
  enlarged: { row: "", map: 0 }, // which of its maps is drawn large, with numbers
  magnifier: false,
  full: { run: 0, state: "idle" }, // newest state of the full picture
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

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const times = (scale) => "×" + (scale < 10 ? scale.toFixed(2) : scale.toFixed(1).replace(/[.]0$/, ""));

// Python's round: halves go to the even neighbour. Sizes must agree with the server's to the pixel.
function roundHalfEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

async function decodeWebp(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
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
  state.limits = offer.limits;
  state.models = new Map(offer.models.flatMap(variants).map((model) => [model.name, model]));
  return offer;
}

// A cascade can also be seen after its earlier stages: each is a choice of its own, `of` the same model.
function variants(model) {
  const whole = { ...model, of: model.name, stop: null };
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
  const truth = { name: "truth", of: "truth", label: "Ground truth", kind: "plain", available: true, stages: 1 };
  const errors = [...state.models.values()]
    .filter((model) => model.available && !model.stop)
    .map((model) => ({ ...model, name: `error:${model.name}`, label: `Error of ${model.label}`, error: true }));
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

// Geometry

const shownScale = () => Math.round(state.view.scale * 100) / 100;

function outputSize(scale) {
  return { height: roundHalfEven(state.picture.height * scale), width: roundHalfEven(state.picture.width * scale) };
}

// Screen position of the corner of the output, on whole screen pixels: at magnification 1 pixels must meet pixels.
function origin(size) {
  const { magnification, y, x } = state.view;
  const whole = (place) => Math.round(place + 1e-3); // halves are common, and the digits of a link must not turn them
  return {
    y: whole(state.pane.height / 2 - ((y * size.height) / state.picture.height) * magnification),
    x: whole(state.pane.width / 2 - ((x * size.width) / state.picture.width) * magnification),
  };
}

function screenToLr(y, x) {
  const size = outputSize(shownScale());
  const corner = origin(size);
  const { magnification } = state.view;
  return {
    y: (((y - corner.y) / magnification) * state.picture.height) / size.height,
    x: (((x - corner.x) / magnification) * state.picture.width) / size.width,
  };
}

function lrToScreen(y, x) {
  const size = outputSize(shownScale());
  const corner = origin(size);
  const { magnification } = state.view;
  return {
    y: corner.y + ((y * size.height) / state.picture.height) * magnification,
    x: corner.x + ((x * size.width) / state.picture.width) * magnification,
  };
}

// The part of an output of `size` that the view shows, as whole output pixels.
function visibleWindow(size) {
  const from = screenToLr(0, 0);
  const to = screenToLr(state.pane.height, state.pane.width);
  const perRow = size.height / state.picture.height;
  const perColumn = size.width / state.picture.width;
  const nudge = 1e-6; // a bound that is whole but for rounding stays that
  const top = clamp(Math.floor(from.y * perRow + nudge), 0, size.height - 1);
  const left = clamp(Math.floor(from.x * perColumn + nudge), 0, size.width - 1);
  const bottom = clamp(Math.ceil(to.y * perRow - nudge), top + 1, size.height);
  const right = clamp(Math.ceil(to.x * perColumn - nudge), left + 1, size.width);
  return { top, left, height: bottom - top, width: right - left };
}

function contains(outer, inner) {
  return (
    outer.top <= inner.top &&
    outer.left <= inner.left &&
    outer.top + outer.height >= inner.top + inner.height &&
    outer.left + outer.width >= inner.left + inner.width
  );
}

// What the last pass must render: the view itself, or, zoomed out too far for that, the same part at a smaller scale.
function goal() {
  const scale = shownScale();
  const size = outputSize(scale);
  const window = visibleWindow(size);
  const area = window.height * window.width;
  const pane = state.pane.height * state.pane.width;
  if (state.picture.truth || (area <= OVERVIEW_FROM * pane && area <= state.limits.view_pixels)) return { pass: "exact", scale, size, window };
  const smaller = Math.max(1, Math.floor(100 * scale * Math.sqrt((OVERVIEW_AREA * pane) / area)) / 100);
  const smallerSize = outputSize(smaller);
  return { pass: "overview", scale: smaller, size: smallerSize, window: visibleWindow(smallerSize) };
}

// The same part at a third of the scale: quick, true to the model at that scale, and marked as a preview.
function preview(target) {
  const scale = Math.max(1, Math.round((100 * target.scale) / COARSE_FACTOR) / 100);
  const size = outputSize(scale);
  return { pass: "preview", scale, size, window: visibleWindow(size) };
}

const reaches = (frame, target) =>
  frame.pass !== "preview" && frame.scale === target.scale && contains(frame.window, target.window);

// The output pixel that contains the picked position at the present scale.
function pickedPixel() {
  const size = outputSize(shownScale());
  return {
    row: clamp(Math.floor((state.picked.y * size.height) / state.picture.height), 0, size.height - 1),
    column: clamp(Math.floor((state.picked.x * size.width) / state.picture.width), 0, size.width - 1),
    size,
  };
}

// Drawing

let drawing = false;

const shownPanes = () => state.panes.slice(0, state.wipe === null ? state.paneCount : 2);

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const pane of shownPanes()) {
      drawPane(pane);
      markPane(pane);
      drawOverlay(pane);
    }
  });
}

function drawPane(pane) {
  const context = pane.canvas.getContext("2d");
  context.clearRect(0, 0, pane.canvas.width, pane.canvas.height);
  if (!state.picture) return;
  const { bitmap, height, width } = state.picture;
  const small = { bitmap, size: { height, width }, window: { top: 0, left: 0, height, width } };
  if (pane.model === "input") return drawLayer(context, small, false);
  if (!modelOf(pane.model)?.available) return;
  const target = goal();
  const finished = pane.frames.filter((frame) => reaches(frame, target)).at(-1);
  if (finished) return drawLayer(context, finished, state.view.magnification < 1 || finished.pass === "overview");
  // Until then: whatever is at hand, stretched, from the roughest to the finest.
  drawLayer(context, small, true);
  const rank = (frame) => (frame.scale === target.scale ? 2 : frame.wanted === state.wanted ? 1 : 0);
  for (const frame of [...pane.frames].sort((a, b) => rank(a) - rank(b))) {
    drawLayer(context, frame, rank(frame) < 2 || state.view.magnification < 1);
  }
}

// Draw a part of some rendering of the picture where it belongs in the present view.
function drawLayer(context, { bitmap, size, window }, smooth) {
  const shown = outputSize(shownScale());
  const corner = origin(shown);
  const stepY = (shown.height / size.height) * state.view.magnification; // screen pixels per pixel of the layer
  const stepX = (shown.width / size.width) * state.view.magnification;
  const margin = 2; // keeps the edge of the cut out of the smoothing
  const top = clamp(Math.floor(-corner.y / stepY) - window.top - margin, 0, window.height);
  const left = clamp(Math.floor(-corner.x / stepX) - window.left - margin, 0, window.width);
  const bottom = clamp(Math.ceil((state.pane.height - corner.y) / stepY) - window.top + margin, 0, window.height);
  const right = clamp(Math.ceil((state.pane.width - corner.x) / stepX) - window.left + margin, 0, window.width);
  if (bottom <= top || right <= left) return;
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = state.view.magnification < 1 ? "high" : "low";
  context.drawImage(
    bitmap,
    left,
    top,
    right - left,
    bottom - top,
    corner.x + (window.left + left) * stepX,
    corner.y + (window.top + top) * stepY,
    (right - left) * stepX,
    (bottom - top) * stepY,
  );
}

// Which pass is on screen and how long it took, in a few characters.
function markPane(pane) {
  const model = modelOf(pane.model);
  const [pass, text, title] = paneStatus(pane, model);
  pane.element.dataset.pass = pass;
  pane.element.dataset.busy = pane.request ? "yes" : "no";
  pane.mark.textContent = text;
  pane.mark.title = title;
  pane.empty.hidden = !(state.picture && pane.model !== "input" && model && !model.available);
  pane.empty.textContent = pane.empty.hidden ? "" : model.reason;
}

function paneStatus(pane, model) {
  if (!state.picture) return ["none", "", ""];
  if (pane.model === "input")
    return ["input", `${state.picture.width} × ${state.picture.height}`, "Its own pixels, drawn as squares"];
  if (!model?.available) return ["none", "no weights", model?.reason ?? ""];
  if (pane.failed === state.wanted) return ["failed", "failed", "Move the view to try again"];
  const target = goal();
  const frame = pane.frames.filter((each) => reaches(each, target)).at(-1);
  const took = (each) => `${Math.round(each.milliseconds)} ms`;
  const detail = (each) => `Computed in ${took(each)}, on screen after ${Math.round(each.trip)} ms`;
  if (frame?.pass === "exact") return ["exact", `exact · ${took(frame)}`, detail(frame)];
  if (frame)
    return [
      "overview",
      `drawn at ${times(frame.scale)} · ${took(frame)}`,
      "The whole output would be too large for this pane. " + detail(frame),
    ];
  const rough = pane.frames.at(-1);
  if (rough?.pass === "preview" && rough.wanted === state.wanted)
    return [
      "preview",
      `preview · ${took(rough)}`,
      `Rendered at ${times(rough.scale)} and enlarged; the exact pass follows`,
    ];
  return ["stretched", rough ? "stretched" : "waiting", "The last picture, stretched; the next pass follows"];
}

// Picked pixel, attention windows and the hovered neighbour, over the pictures.
function drawOverlay(pane) {
  pane.overlay.replaceChildren();
  if (!state.picture || !state.picked || !pane.empty.hidden) return;
  if (pane.model === "input") {
    for (const box of windowBoxes()) outline(pane.overlay, box, "window", box.label);
    if (state.hovered) outline(pane.overlay, state.hovered, "hovered");
  }
  const { row, column, size } = pickedPixel();
  const height = state.picture.height / size.height;
  const width = state.picture.width / size.width;
  const box = { y: row * height, x: column * width, height, width };
  if (state.view.magnification >= 6) return outline(pane.overlay, box, "pixel");
  const { y, x } = lrToScreen(box.y + height / 2, box.x + width / 2);
  for (const tone of ["dark", "light"]) {
    pane.overlay.append(svg("path", { class: `cross ${tone}`, d: `M${x - 11} ${y}h7m8 0h7M${x} ${y - 11}v7m0 8v7` }));
  }
}

function outline(overlay, { y, x, height, width }, kind, label) {
  const from = lrToScreen(y, x);
  const to = lrToScreen(y + height, x + width);
  const box = { x: from.x, y: from.y, width: to.x - from.x, height: to.y - from.y };
  for (const tone of ["dark", "light"]) overlay.append(svg("rect", { class: `${kind} ${tone}`, ...box }));
  if (label && box.width > 60) {
    const text = svg("text", { class: "window-label", x: box.x + 4, y: box.y + 12 });
    text.textContent = label;
    overlay.append(text);
  }
}

// One rectangle per attention stage, in LR pixels: the stage's window with the latents' own areas.
function windowBoxes() {
  const boxes = new Map();
  for (const [name, look] of state.looks) {
    if (look.answer.kind !== "attention") continue;
    look.answer.stages.forEach((stage, index) => {
      const box = latentArea(stage);
      boxes.set(`${box.y} ${box.x} ${box.height}`, {
        ...box,
        label: look.answer.stages.length > 1 || boxes.size ? `${index + 1}` : "",
      });
    });
  }
  return [...boxes.values()];
}

// The area that a stage's latents cover together. Latents are given by their centres, as pixel indices.
function latentArea({ latents, grid }) {
  const height = state.picture.height / grid[0];
  const width = state.picture.width / grid[1];
  const [first, last] = [latents[0][0], latents.at(-1).at(-1)];
  return {
    y: first[0] + 0.5 - height / 2,
    x: first[1] + 0.5 - width / 2,
    height: last[0] - first[0] + height,
    width: last[1] - first[1] + width,
  };
}

// Rendering: stretch at once, then a preview, then the exact pass

function changeView(change) {
  Object.assign(state.view, change);
  if (state.picture) {
    state.view.y = clamp(state.view.y, 0, state.picture.height);
    state.view.x = clamp(state.view.x, 0, state.picture.width);
  }
  state.wanted += 1;
  state.changedAt = performance.now();
  showControls();
  draw();
  pumpAll();
  clearTimeout(changeView.rest);
  changeView.rest = setTimeout(viewRested, SETTLE_MS);
}

function viewRested() {
  pumpAll();
  lookAgain();
}

function pumpAll() {
  for (const pane of shownPanes()) pump(pane);
}

// Ask for the pass this pane needs next, if it needs one and is not already waiting for it.
function pump(pane) {
  if (!state.picture || state.opening || !modelOf(pane.model)?.available) return;
  if (pane.failed === state.wanted) return;
  const target = goal();
  if (pane.frames.some((frame) => reaches(frame, target))) return;
  if (pane.request?.wanted === state.wanted || pane.request?.pass === "preview") return;
  const previewed = pane.frames.some((frame) => frame.pass === "preview" && frame.wanted === state.wanted);
  if (!previewed && previewHelps(pane, target)) requestPass(pane, preview(target));
  else if (performance.now() - state.changedAt >= SETTLE_MS) requestPass(pane, target);
}

function previewHelps(pane, target) {
  if (target.scale < COARSE_FROM || pane.model === "truth" || modelOf(pane.model).error) return false;
  const last = pane.frames.filter((frame) => frame.pass !== "preview").at(-1);
  const area = target.window.height * target.window.width;
  return !last || (last.milliseconds * area) / (last.window.height * last.window.width) > COARSE_WORTH_MS;
}

async function requestPass(pane, { pass, scale, window }) {
  const ticket = { pass, wanted: state.wanted, picture: state.picture, model: pane.model, chain: state.chain };
  const asked = performance.now();
  pane.request = ticket;
  const { of, stop, error } = modelOf(pane.model);
  const answer = await ask("render_view", {
    model: of,
    error,
    stages: stop,
    chain: state.chain,
    scale,
    window: [window.top, window.left, window.height, window.width],
    wanted: ticket.wanted,
  });
  const bitmap = answer.image ? await decodeWebp(answer.image) : null;
  if (pane.request === ticket) pane.request = null;
  const current =
    ticket.picture === state.picture && ticket.model === pane.model && ticket.chain === state.chain;
  if (current && bitmap && ticket.wanted >= pane.newest) {
    const [top, left, height, width] = answer.window;
    keepFrame(pane, {
      pass,
      scale,
      bitmap,
      size: { height: answer.size[0], width: answer.size[1] },
      window: { top, left, height, width },
      wanted: ticket.wanted,
      milliseconds: answer.milliseconds,
      factors: answer.factors,
      trip: performance.now() - asked,
    });
  } else if (current && answer.error && !answer.expired) {
    pane.failed = ticket.wanted;
    complain(answer.error);
  }
  showFactors();
  draw();
  pump(pane);
}

// The newest frame and the last two finished ones: enough to stretch from while the next is on its way.
function keepFrame(pane, frame) {
  pane.newest = frame.wanted;
  pane.frames = [...pane.frames.filter((each) => each.pass !== "preview").slice(-2), frame];
}

// Panes

function buildPanes() {
  state.panes = FIRST_PANES.map((model, index) => {
    const menu = make("select", { "aria-label": `Method of pane ${index + 1}`, class: "method" });
    const mark = make("span", { class: "mark" });
    const canvas = make("canvas");
    const overlay = svg("svg", { class: "overlay", "aria-hidden": "true" });
    const empty = make("p", { class: "pane-empty", hidden: true });
    const stage = make("div", { class: "stage" }, canvas, overlay, empty);
    const pane = { model, menu, mark, canvas, overlay, empty, stage, frames: [], newest: 0, request: null, failed: -1 };
    pane.element = make("figure", { class: "pane", "data-index": index }, make("figcaption", {}, menu, mark), stage);
    menu.addEventListener("change", () => choose(pane, menu.value));
    menu.addEventListener("keydown", (event) => event.stopPropagation()); // its arrows choose, they do not pan
    return pane;
  });
  $(".panes").replaceChildren(...state.panes.map((pane) => pane.element));
}

function choose(pane, model) {
  pane.model = model;
  pane.element.dataset.model = model;
  pane.frames = [];
  pane.newest = 0;
  pane.failed = -1;
  pane.request = null;
  pane.menu.value = model;
  if (state.picture?.truth) scoreAll();
  showFactors();
  draw();
  pump(pane);
  lookAgain();
  keepLink();
}

function fillMenus() {
  for (const pane of state.panes) {
    const options = [make("option", { value: "input" }, "Input")];
    for (const model of [...state.models.values(), ...(state.picture?.truth ? truthModels() : [])]) {
      const label = model.available ? model.label : `${model.label} (no weights yet)`;
      options.push(make("option", { value: model.name, disabled: !model.available, title: model.reason }, label));
    }
    pane.menu.replaceChildren(...options);
    if (pane.model !== "input" && !modelOf(pane.model)) pane.model = "input"; // it went with the ground truth
    pane.menu.value = pane.model;
    pane.element.dataset.model = pane.model;
  }
  const choices = [...state.models.values()].filter((model) => model.available && !model.stop);
  $(".full-model").replaceChildren(...choices.map((model) => make("option", { value: model.name }, model.label)));
  const finest = choices.filter((model) => model.kind !== "plain").at(-1);
  if (finest) $(".full-model").value = finest.name;
}

// Whole numbers of CSS pixels, so that canvas pixels and screen pixels coincide.
function layout() {
  const columns = state.wipe === null ? Math.min(state.paneCount, root.clientWidth >= 1000 ? 4 : 2) : 1;
  const gap = root.clientWidth >= 640 ? 12 : 6;
  const width = Math.floor(($(".panes").clientWidth - gap * (columns - 1)) / columns);
  const height = Math.min(Math.round(width * PANE_HEIGHT[root.clientWidth >= 1000 ? columns : 0]), 900);
  for (const pane of state.panes) pane.element.hidden = !shownPanes().includes(pane);
  $(".panes").dataset.wipe = state.wipe === null ? "no" : "yes";
  if (width < 1 || (width === state.pane.width && height === state.pane.height)) return;
  state.pane = { width, height };
  $(".panes").style.gridTemplateColumns = `repeat(${columns}, ${width}px)`;
  $(".panes").style.gap = `${gap}px`;
  for (const pane of state.panes) {
    pane.stage.style.height = `${height}px`;
    pane.canvas.width = width;
    pane.canvas.height = height;
  }
  changeView({});
}

// The first so many panes are shown; the others keep what they have.
function showPanes(count, wipe = null) {
  state.paneCount = count;
  state.wipe = wipe;
  for (const button of root.querySelectorAll(".pane-count")) {
    button.setAttribute("aria-pressed", String(wipe === null && Number(button.textContent) === count));
  }
  $(".wipe-toggle").setAttribute("aria-pressed", String(wipe !== null));
  layout();
  placeWipe();
  showFactors();
  changeView({});
  lookAgain();
  if (state.picture?.truth) scoreAll();
}

const toggleWipe = () => showPanes(state.paneCount, state.wipe === null ? 0.5 : null);

// The second pane lies over the first, cut off at the handle.
function placeWipe() {
  const [, over] = state.panes;
  const handle = $(".wipe-handle");
  handle.hidden = state.wipe === null;
  over.stage.style.clipPath = state.wipe === null ? "" : `inset(0 0 0 ${100 * state.wipe}%)`;
  handle.style.left = `${100 * (state.wipe ?? 0)}%`;
  handle.setAttribute("aria-valuenow", Math.round(100 * (state.wipe ?? 0)));
  keepLink();
}

function moveWipe(share) {
  state.wipe = clamp(share, 0, 1);
  placeWipe();
}

function buildWipe() {
  const handle = make("div", {
    class: "wipe-handle",
    role: "slider",
    tabindex: 0,
    hidden: true,
    "aria-label": "Where the second picture begins",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
  });
  const place = (event) => {
    const box = state.panes[0].stage.getBoundingClientRect();
    moveWipe((event.clientX - box.left) / box.width);
  };
  handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
  handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && place(event));
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation(); // the viewer pans by arrows
    moveWipe(state.wipe + step);
  });
  $(".panes").append(handle);
  $(".wipe-toggle").addEventListener("click", toggleWipe);
}

// Controls

const scaleToSlider = (scale) => Math.round((SLIDER_STEPS * Math.log(scale)) / Math.log(state.limits.scale));
const sliderToScale = (value) => Math.exp((value / SLIDER_STEPS) * Math.log(state.limits.scale));

// Change the scale or magnification and keep the LR point under `anchor` (screen, of any pane) where it is.
function zoom(change, anchor) {
  const { height, width } = state.pane;
  const { y, x } = anchor ?? { y: height / 2, x: width / 2 };
  if (!state.picture) return changeView(change);
  const fixed = screenToLr(y, x);
  Object.assign(state.view, change);
  const size = outputSize(shownScale());
  const perRow = (size.height / state.picture.height) * state.view.magnification;
  const perColumn = (size.width / state.picture.width) * state.view.magnification;
  changeView({ y: fixed.y - (y - height / 2) / perRow, x: fixed.x - (x - width / 2) / perColumn });
}

function setScale(scale, anchor) {
  if (state.picture?.truth) return showControls(); // it was made for one scale
  scaleError("");
  zoom({ scale: clamp(scale, 1, state.limits.scale) }, anchor);
}

function stepMagnification(steps, anchor) {
  const now = state.view.magnification;
  const nearest = MAGNIFICATIONS.reduce((best, each) =>
    Math.abs(Math.log(each / now)) < Math.abs(Math.log(best / now)) ? each : best,
  );
  let index = MAGNIFICATIONS.indexOf(nearest) + steps;
  if (steps > 0 && nearest > now * 1.001) index -= 1; // from between two, the next one up or down
  if (steps < 0 && nearest < now * 0.999) index += 1;
  zoom({ magnification: MAGNIFICATIONS[clamp(index, 0, MAGNIFICATIONS.length - 1)] }, anchor);
}

function fit() {
  if (!state.picture) return;
  const size = outputSize(shownScale());
  const exact = Math.min(state.pane.height / size.height, state.pane.width / size.width);
  const whole = MAGNIFICATIONS.filter((each) => each <= exact).at(-1) ?? MAGNIFICATIONS[0];
  const magnification = exact < 1 ? Math.max(exact, MAGNIFICATIONS[0]) : whole;
  changeView({ magnification, y: state.picture.height / 2, x: state.picture.width / 2 });
}

function pan(dy, dx) {
  if (!state.picture) return;
  const size = outputSize(shownScale());
  changeView({
    y: state.view.y - ((dy / state.view.magnification) * state.picture.height) / size.height,
    x: state.view.x - ((dx / state.view.magnification) * state.picture.width) / size.width,
  });
}

function showControls() {
  const scale = shownScale();
  const slider = $(".scale-slider");
  if (Number(slider.value) !== scaleToSlider(scale)) slider.value = scaleToSlider(scale);
  slider.setAttribute("aria-valuetext", `times ${scale.toFixed(2)}`);
  slider.style.setProperty("--filled", `${(100 * slider.value) / SLIDER_STEPS}%`);
  const number = $(".scale-number");
  if (document.activeElement !== number || number.getAttribute("aria-invalid") !== "true")
    number.value = scale.toFixed(2);
  const { magnification } = state.view;
  const fraction = MAGNIFICATIONS.includes(magnification) && magnification < 1 && magnification !== 2 / 3;
  $(".magnify-value").textContent =
    magnification >= 1
      ? `${magnification}×`
      : fraction
        ? `1/${Math.round(1 / magnification)}×`
        : `${magnification.toPrecision(2)}×`;
  showFull();
  keepLink();
}

const SEAMS = {
  published: "Factors of 4 and a rest: a stage joins at ×4 and at ×16, and the picture changes there.",
  balanced: "As many equal factors, none over 4: a stage joins gently, for a third less work.",
};

const isCascade = (model) => model?.available && model.stages > 1;

// How CLIT splits the scale, as the newest frames tell; nothing while no pane shows a cascade.
function showFactors() {
  const panes = shownPanes().filter((pane) => isCascade(modelOf(pane.model)));
  $(".cascade").hidden = !panes.length;
  const factors = panes.flatMap((pane) => pane.frames.filter((frame) => frame.pass !== "preview").slice(-1))[0]?.factors;
  $(".factors").textContent = factors?.length ? factors.map(times).join(" · ") : "";
}

function setChain(chain) {
  state.chain = chain;
  $(".chain").value = chain;
  $(".seam").textContent = SEAMS[chain];
  for (const pane of state.panes) {
    if (isCascade(modelOf(pane.model))) Object.assign(pane, { frames: [], newest: 0, request: null });
  }
  changeView({});
  if (state.picture?.truth) scoreAll();
}

function scaleError(sentence) {
  const field = $(".field-error");
  field.textContent = sentence;
  field.hidden = !sentence;
  $(".scale-number").setAttribute("aria-invalid", sentence ? "true" : "false");
}

// A scale as people type it: 2.7, 2,7, x2.7. What is no such number gets one sentence and changes nothing.
function readScale() {
  const typed = $(".scale-number").value.trim();
  const bare = typed.replace(/^[x×]/i, "").replace(",", ".");
  const scale = bare === "" ? NaN : Number(bare);
  if (scale >= 1 && scale <= state.limits.scale) return setScale(scale);
  scaleError(`The scale is ${typed.slice(0, 20) || "empty"}, but must be a number from 1 to ${state.limits.scale}.`);
}

function buildControls() {
  $(".ticks").replaceChildren(
    ...TICKS.map((scale) => make("span", { style: `left: ${(100 * Math.log(scale)) / Math.log(30)}%` }, `×${scale}`)),
  );
  $(".scale-slider").addEventListener("input", (event) => setScale(sliderToScale(Number(event.target.value))));
  const number = $(".scale-number");
  number.addEventListener("change", readScale);
  number.addEventListener("keydown", (event) => {
    if (event.key === "Enter") readScale();
    if (event.key === "Escape") setScale(state.view.scale);
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      setScale(shownScale() + (event.key === "ArrowUp" ? 0.1 : -0.1));
    }
  });
  $(".magnify-in").addEventListener("click", () => stepMagnification(1));
  $(".magnify-out").addEventListener("click", () => stepMagnification(-1));
  $(".magnifier").addEventListener("click", (event) => {
    state.magnifier = !state.magnifier;
    event.currentTarget.setAttribute("aria-pressed", state.magnifier);
  });
  $(".fit").addEventListener("click", fit);
  $(".chain").addEventListener("change", (event) => setChain(event.target.value));
  for (const button of root.querySelectorAll(".pane-count")) {
    button.addEventListener("click", () => showPanes(Number(button.textContent)));
  }
  $(".notice-close").addEventListener("click", () => complain(""));
}

// Pointer and keyboard on the panes

const pointers = new Map(); // id -> {y, x} of pointers that are down, in client pixels
let gesture = null; // {moved, distance, view}

function anchorOf(event, pane) {
  const box = (pane ?? event.target.closest(".pane")).querySelector("canvas").getBoundingClientRect();
  return { y: event.clientY - box.top, x: event.clientX - box.left };
}

function pinchState() {
  const [a, b] = [...pointers.values()];
  return { distance: Math.hypot(a.y - b.y, a.x - b.x), y: (a.y + b.y) / 2, x: (a.x + b.x) / 2 };
}

function pointerDown(event) {
  if (event.button > 0 || !event.target.closest(".stage")) return;
  event.target.closest(".stage").setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, { y: event.clientY, x: event.clientX });
  if (pointers.size === 1) gesture = { moved: 0, pane: event.target.closest(".pane") };
  if (pointers.size === 2) Object.assign(gesture, { moved: Infinity, pinch: pinchState() });
}

function pointerMove(event) {
  const last = pointers.get(event.pointerId);
  if (!last) return;
  const [dy, dx] = [event.clientY - last.y, event.clientX - last.x];
  pointers.set(event.pointerId, { y: event.clientY, x: event.clientX });
  if (pointers.size === 2) return pinch();
  gesture.moved += Math.abs(dy) + Math.abs(dx);
  if (gesture.moved < CLICK_PIXELS) {
    gesture.held = { dy: (gesture.held?.dy ?? 0) + dy, dx: (gesture.held?.dx ?? 0) + dx };
    return;
  }
  const held = gesture.held ?? { dy: 0, dx: 0 }; // what was moved before it counted as a drag
  gesture.held = null;
  pan(dy + held.dy, dx + held.dx);
}

function pinch() {
  const now = pinchState();
  const before = gesture.pinch;
  gesture.pinch = now;
  const anchor = anchorOf({ clientY: now.y, clientX: now.x }, gesture.pane);
  pan(now.y - before.y, now.x - before.x);
  const stretch = now.distance / Math.max(before.distance, 1);
  if (!state.picture?.truth && !state.magnifier) return setScale(state.view.scale * stretch, anchor);
  const magnification = clamp(state.view.magnification * stretch, MAGNIFICATIONS[0], MAGNIFICATIONS.at(-1));
  zoom({ magnification }, anchor);
}

function pointerUp(event) {
  if (!pointers.delete(event.pointerId)) return;
  if (event.type === "pointerup" && gesture.moved < CLICK_PIXELS) {
    const { y, x } = anchorOf(event, gesture.pane);
    pick(y, x);
  }
}

function wheel(event) {
  if (!event.target.closest(".stage")) return;
  event.preventDefault();
  const delta = clamp(event.deltaY * (event.deltaMode === 1 ? 30 : 1), -150, 150);
  const anchor = anchorOf(event);
  if (!event.ctrlKey && !state.magnifier && !state.picture?.truth) return setScale(state.view.scale * Math.exp(-delta / 1000), anchor);
  // Touchpads send many small steps: gather them until they make one.
  wheel.gathered = (wheel.gathered ?? 0) + (event.ctrlKey && Math.abs(delta) < 40 ? 4 * delta : delta);
  if (Math.abs(wheel.gathered) < 80) return;
  stepMagnification(-Math.sign(wheel.gathered), anchor);
  wheel.gathered = 0;
}

function viewerKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = event.shiftKey ? 8 : 64;
  const actions = {
    ArrowUp: () => pan(step, 0),
    ArrowDown: () => pan(-step, 0),
    ArrowLeft: () => pan(0, step),
    ArrowRight: () => pan(0, -step),
    "+": () => setScale(state.view.scale * 1.05),
    "=": () => setScale(state.view.scale * 1.05),
    "-": () => setScale(state.view.scale / 1.05),
    ">": () => stepMagnification(1),
    "<": () => stepMagnification(-1),
    w: toggleWipe,
    W: toggleWipe,
    f: fit,
    F: fit,
    Enter: () => pick(state.pane.height / 2, state.pane.width / 2),
    Escape: unpick,
    ...Object.fromEntries([1, 2, 3, 4].map((count) => [count, () => showPanes(count)])),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function buildGestures() {
  const panes = $(".panes");
  panes.addEventListener("pointerdown", pointerDown);
  panes.addEventListener("pointermove", pointerMove);
  panes.addEventListener("pointerup", pointerUp);
  panes.addEventListener("pointercancel", pointerUp);
  panes.addEventListener("wheel", wheel, { passive: false });
  panes.addEventListener("dblclick", (event) => event.target.closest(".stage") && fit());
  panes.addEventListener("keydown", viewerKey);
}

// The inspector

function pick(y, x) {
  if (!state.picture) return;
  const at = screenToLr(y, x);
  if (at.y < 0 || at.x < 0 || at.y >= state.picture.height || at.x >= state.picture.width) return;
  state.picked = at;
  centrePick(0, 0);
}

// Move the picked position by whole output pixels, to the middle of the one it lands in.
function centrePick(rows, columns) {
  const { row, column, size } = pickedPixel();
  state.picked = {
    y: ((clamp(row + rows, 0, size.height - 1) + 0.5) * state.picture.height) / size.height,
    x: ((clamp(column + columns, 0, size.width - 1) + 0.5) * state.picture.width) / size.width,
  };
  state.hovered = null;
  draw();
  lookAgain();
  keepLink();
}

function unpick() {
  state.picked = null;
  state.looks.clear();
  state.hovered = null;
  draw();
  showInspector();
  keepLink();
}

const inspected = () =>
  [...new Set(shownPanes().map((pane) => modelOf(pane.model)?.of))].filter((name) => {
    const model = state.models.get(name);
    return model?.available && model.kind !== "plain";
  });

// Ask what the picked pixel looked at, one round at a time; if it has moved meanwhile, ask again.
async function lookAgain() {
  if (!state.picked || !state.picture || state.looking || state.opening) return;
  const scale = shownScale();
  const { row, column } = pickedPixel();
  const picture = state.picture;
  const names = inspected();
  const fresh = (name) => {
    const look = state.looks.get(name);
    return (
      look && look.scale === scale && look.row === row && look.column === column && look.chain === state.chain
    );
  };
  for (const name of state.looks.keys()) if (!names.includes(name)) state.looks.delete(name);
  const missing = names.filter((name) => !fresh(name));
  if (!missing.length) return showInspector();
  state.looking = true;
  showInspector();
  const { chain } = state;
  const answers = await Promise.all(
    missing.map((model) => ask("inspect", { model, scale, chain, pixel: [row, column] })),
  );
  state.looking = false;
  if (picture !== state.picture || !state.picked) return;
  missing.forEach((name, index) => {
    if (answers[index].stages) state.looks.set(name, { row, column, scale, chain, answer: answers[index] });
  });
  const failed = answers.find((answer) => answer.error && !answer.expired);
  if (failed) complain(failed.error);
  draw();
  if (failed) showInspector();
  else lookAgain();
}

function showInspector() {
  const inspector = $(".inspector");
  inspector.dataset.open = state.picked ? "yes" : "no";
  inspector.dataset.busy = state.looking ? "yes" : "no";
  const nobody = state.picked && !inspected().length;
  $(".inspector .empty").textContent = !state.picture
    ? ""
    : nobody
      ? "No pane shows a method that looks at neighbours: choose LIIF, LIT or CLIT in one of them."
      : state.picked
        ? ""
        : "Click a pixel in any pane to see the neighbours it looked at, and how much each counted.";
  if (!state.picked) {
    $(".maps").replaceChildren();
    $(".enlarged").replaceChildren();
    return;
  }
  const { row, column, size } = pickedPixel();
  $(".picked").textContent = `Row ${row}, column ${column} of ${size.height} × ${size.width} at ${times(shownScale())}`;
  const looks = inspected().filter((name) => state.looks.has(name));
  $(".look-model").replaceChildren(
    ...looks.map((name) => make("option", { value: name }, state.models.get(name).label)),
  );
  if (looks.includes(state.saveLook)) $(".look-model").value = state.saveLook;
  $(".save-look").hidden = !looks.length;
  if (!looks.length) return;
  state.rows = looks.flatMap((name) => lookRows(state.models.get(name), state.looks.get(name)));
  if (!state.rows.length) {
    $(".maps").replaceChildren(make("p", { class: "note" }, "LIIF and LTE weigh by distance: there is no logit to take apart."));
    return $(".enlarged").replaceChildren();
  }
  const heads = Math.max(...state.rows.map((each) => each.maps.length - 1));
  const named = Array.from({ length: heads }, (_, head) => `Head ${head + 1}`);
  const titles = ["Method", "Input here", ...(heads ? ["Mean", ...named] : [QUANTITIES[state.quantity].label, ""])];
  const focused = [...root.querySelectorAll(".map-button")].indexOf(document.activeElement);
  $(".maps").replaceChildren(
    make(
      "table",
      { style: `--cell: ${heads > 4 ? 10 : 13}px` },
      make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)))),
      make("tbody", {}, ...state.rows.map((each) => tableRow(each, heads))),
    ),
  );
  if (focused >= 0) (root.querySelectorAll(".map-button")[focused] ?? $(".inspector")).focus(); // walking goes on
  showEnlarged();
}

// What the maps of attention can show. `zero`: colours begin at zero, else at the smallest value.
const QUANTITIES = {
  weights: { label: "Weights", zero: true, digits: 3, note: (n) => `${n} weights; each head's sum to 1.` },
  content: { label: "Similarity", zero: false, digits: 1, note: () => "The part of each logit that features make: q · k." },
  position: { label: "Position", zero: false, digits: 1, note: () => "The part of each logit that distance makes." },
  influence: {
    label: "Influence",
    zero: true,
    digits: 3,
    note: () => "How far this pixel's colour moves when that neighbour's value is left out, computed anew for each.",
  },
};

function entropy(map) {
  const bits = map.weights.flat().reduce((sum, weight) => (weight > 0 ? sum - weight * Math.log2(weight) : sum), 0);
  return Math.max(0, bits);
}

function enlarge(row, map) {
  state.enlarged = { row: row.key, map: row.maps.indexOf(map) };
  showEnlarged();
}

// One map drawn large with a number in each square: the one last pointed at, else the first that is attention.
function showEnlarged() {
  const named = state.rows.find((each) => each.key === state.enlarged.row);
  const row = named ?? state.rows.find((each) => !each.numbers) ?? state.rows[0];
  const map = row.maps[named ? state.enlarged.map : 0] ?? row.maps[0];
  for (const button of root.querySelectorAll(".map-button")) {
    button.setAttribute(
      "aria-pressed",
      String(button.dataset.row === row.key && Number(button.dataset.map) === row.maps.indexOf(map)),
    );
  }
  const picture = mapPicture(row, map);
  const { digits, note } = QUANTITIES[state.quantity];
  map.weights.forEach((line, i) =>
    line.forEach((weight, j) => {
      if (weight === null) return;
      const text = svg("text", {
        x: j + 0.5,
        y: i + 0.58,
        class: shade(row, map, weight) > 0.55 ? "number dark" : "number light",
      });
      text.textContent = weight.toFixed(digits).replace(/^0[.]/, ".");
      picture.append(text);
    }),
  );
  const title = make("p", {}, make("strong", {}, row.model.label), ` ${row.note}, ${map.name}`);
  $(".enlarged").replaceChildren(
    title,
    picture,
    make(
      "p",
      { class: "note" },
      row.numbers && state.quantity === "weights"
        ? "Four weights, from distance; they sum to 1."
        : note(map.weights.length ** 2),
    ),
  );
}

// What a look has to show: a row for each stage, with its mean map first and then one map for each head.
function lookRows(model, look) {
  if (look.answer.kind === "ensemble") return ensembleRows(model, look);
  const { stages } = look.answer;
  return stages.map((stage, index) => {
    return {
      key: `${model.name} ${index}`,
      model,
      rgb: index === stages.length - 1 ? look.answer.rgb : null,
      note: stages.length > 1 ? `stage ${index + 1} of ${stages.length}` : "one stage",
      detail: `${stage.grid[1]} × ${stage.grid[0]} grid`,
      stage,
      area: latentArea(stage),
      maps: stageMaps(stage),
    };
  });
}

function stageMaps(stage) {
  if (state.quantity === "influence") return [{ name: "influence", weights: stage.influence }];
  const each = stage[state.quantity];
  const mean = each[0].map((line, i) => line.map((_, j) => each.reduce((sum, head) => sum + head[i][j], 0) / each.length));
  const heads = each.map((weights, head) => ({ name: `head ${head + 1}`, weights }));
  return [{ name: "mean of the heads", weights: mean }, ...heads];
}

// The four numbers of a local ensemble on the seven by seven grid that attention has, about the nearest latent.
function ensembleRows(model, look) {
  const [stage] = look.answer.stages;
  const numbers = { weights: stage.weights[0], influence: stage.influence }[state.quantity];
  if (!numbers) return []; // it has no logits to take apart
  const { height, width } = state.picture;
  const at = {
    y: ((look.row + 0.5) * height) / look.answer.size[0],
    x: ((look.column + 0.5) * width) / look.answer.size[1],
  };
  const centre = { y: clamp(Math.floor(at.y), 0, height - 1), x: clamp(Math.floor(at.x), 0, width - 1) };
  const radius = 3;
  const side = Array.from({ length: 2 * radius + 1 }, (_, i) => i - radius);
  const weights = side.map(() => side.map(() => null));
  stage.latents.forEach((line, i) =>
    line.forEach(([y, x], j) => {
      const [down, right] = [Math.round(y) - centre.y + radius, Math.round(x) - centre.x + radius];
      weights[down][right] = (weights[down][right] ?? 0) + numbers[i][j]; // at the border two coincide
    }),
  );
  const latents = side.map((dy) => side.map((dx) => [centre.y + dy, centre.x + dx]));
  const inside = latents.map((line) => line.map(([y, x]) => y >= 0 && x >= 0 && y < height && x < width));
  const grid = [height, width];
  const row = {
    key: model.name,
    model,
    rgb: look.answer.rgb,
    note: "distance alone",
    detail: "four neighbours",
    stage: { latents, inside, grid },
    area: latentArea({ latents, grid }),
    maps: [{ name: state.quantity === "weights" ? "share of each neighbour" : "influence", weights }],
    numbers,
  };
  return [row];
}

function tableRow(row, heads) {
  const { model, rgb, note, detail, maps, numbers } = row;
  const swatch =
    rgb &&
    make(
      "span",
      { class: "swatch", title: "The colour it gave this pixel" },
      make("i", { style: `background: rgb(${rgb.join(" ")})` }),
      rgb.join(" "),
    );
  const label = make(
    "th",
    { scope: "row" },
    make("span", { class: "method-name" }, model.label),
    make("span", { class: "note" }, note),
    make("span", { class: "note" }, detail),
    swatch,
  );
  const cells = maps.map((map) => make("td", {}, mapButton(row, map)));
  if (numbers) {
    const lines = numbers.map((line) => make("span", {}, ...line.map((weight) => make("b", {}, weight.toFixed(3)))));
    cells.push(make("td", { colspan: Math.max(1, heads) }, make("div", { class: "four" }, ...lines)));
  }
  return make("tr", {}, label, make("td", {}, patchFigure(row)), ...cells);
}

const numbersOf = (map) => map.weights.flat().filter((each) => each !== null);
const largestOf = (map) => Math.max(...numbersOf(map));

// A value's place on the colour scale of its map, 0..1; of its row, where one scale is shared.
function shade(row, map, value) {
  const values = (state.sharedScale ? row.maps : [map]).flatMap(numbersOf);
  const low = QUANTITIES[state.quantity].zero ? 0 : Math.min(...values);
  return (value - low) / (Math.max(...values) - low || 1);
}

function mapButton(row, map) {
  const { digits } = QUANTITIES[state.quantity];
  const largest = largestOf(map).toFixed(digits);
  const bits = state.quantity === "weights" ? `${entropy(map).toFixed(1)} bits` : "";
  const name = `${row.model.label}, ${row.note}, ${map.name}: largest ${largest}${bits && `, entropy ${bits}`}`;
  const show = () => enlarge(row, map);
  const button = make(
    "button",
    {
      type: "button",
      class: "map-button",
      "aria-label": name,
      "data-row": row.key,
      "data-map": row.maps.indexOf(map),
      onpointerenter: show,
      onfocus: show,
      onclick: show,
    },
    mapPicture(row, map),
  );
  return make(
    "div",
    { class: "map-box" },
    button,
    make(
      "span",
      { class: "largest", title: bits && "Largest weight, and the entropy: 0 bits is one neighbour, 5.6 all of them alike" },
      `max ${largest}`,
      bits && make("span", {}, bits),
    ),
  );
}

// One map as SVG: a square per neighbour, hatched where it lies outside the picture, and the pixel's own position.
function mapPicture(row, map) {
  const { stage } = row;
  const n = map.weights.length;
  const picture = svg("svg", { viewBox: `0 0 ${n} ${n}`, class: "map" });
  map.weights.forEach((line, i) =>
    line.forEach((weight, j) => {
      const square = { x: j, y: i, width: 1, height: 1 };
      if (weight === null) picture.append(svg("rect", { ...square, class: "unused" }));
      else picture.append(svg("rect", { ...square, fill: viridis(shade(row, map, weight)) }));
      if (!stage.inside[i][j]) picture.append(svg("rect", { ...square, class: "outside" }));
    }),
  );
  picture.append(...positionMark(row));
  picture.addEventListener("pointermove", (event) => hover(event, picture, row, map));
  picture.addEventListener("pointerleave", () => hover(null));
  return picture;
}

function positionMark({ area, stage }) {
  const n = stage.latents.length;
  const place = { cy: ((state.picked.y - area.y) / area.height) * n, cx: ((state.picked.x - area.x) / area.width) * n };
  return ["dark", "light"].map((tone) => svg("circle", { class: `position ${tone}`, r: 0.22, ...place }));
}

// The part of the input that the maps cover, with the same outline and the same mark.
function patchFigure(row) {
  const n = row.stage.latents.length;
  const pixels = 12 * n;
  const canvas = make("canvas", { width: pixels, height: pixels });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const { area } = row;
  const [perY, perX] = [pixels / area.height, pixels / area.width];
  context.drawImage(
    state.picture.bitmap,
    -area.x * perX,
    -area.y * perY,
    state.picture.width * perX,
    state.picture.height * perY,
  );
  const marks = svg("svg", { viewBox: `0 0 ${n} ${n}`, class: "map", "aria-hidden": "true" });
  row.stage.inside.forEach((line, i) =>
    line.forEach(
      (inside, j) => inside || marks.append(svg("rect", { x: j, y: i, width: 1, height: 1, class: "outside" })),
    ),
  );
  marks.append(...positionMark(row));
  return make(
    "div",
    { class: "map-box patch" },
    canvas,
    marks,
    make("span", { class: "largest" }, `${Number(area.width.toFixed(2))} px wide`),
  );
}

function hover(event, picture, row, map) {
  const readout = $(".readout");
  state.hovered = null;
  readout.textContent = "";
  if (event) {
    const box = picture.getBoundingClientRect();
    const n = map.weights.length;
    const i = clamp(Math.floor(((event.clientY - box.top) / box.height) * n), 0, n - 1);
    const j = clamp(Math.floor(((event.clientX - box.left) / box.width) * n), 0, n - 1);
    const [y, x] = row.stage.latents[i][j];
    const [height, width] = [row.area.height / n, row.area.width / n];
    state.hovered = { y: y + 0.5 - height / 2, x: x + 0.5 - width / 2, height, width };
    const weight = map.weights[i][j];
    const where = row.stage.inside[i][j] ? `input row ${y.toFixed(2)}, column ${x.toFixed(2)}` : "outside the picture";
    readout.textContent = `${row.model.label}, ${row.note}, ${map.name}: ${weight === null ? "not used" : weight.toPrecision(3)} · ${where}`;
  }
  draw();
}

// Viridis (Smith and van der Walt), made to be read by colour-blind eyes and in grey: nine colours, interpolated.
const VIRIDIS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

function viridis(value) {
  const at = clamp(value, 0, 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const mixed = VIRIDIS[low].map((from, channel) => Math.round(from + (VIRIDIS[low + 1][channel] - from) * (at - low)));
  return `rgb(${mixed.join(" ")})`;
}

function inspectorKey(event) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!steps || !state.picked || event.target.matches("input")) return;
  event.preventDefault();
  const stride = event.shiftKey ? 8 : 1;
  centrePick(steps[0] * stride, steps[1] * stride);
}

function buildInspector() {
  const stops = VIRIDIS.map((colour) => `rgb(${colour.join(" ")})`).join(", ");
  const bar = make("i", { class: "bar", style: `background: linear-gradient(to right, ${stops})` });
  $(".legend").replaceChildren(
    make("span", {}, make("span", { class: "lowest" }, "0"), bar, "largest"),
    make("span", {}, make("i", { class: "hatched" }), "outside the picture"),
    make("span", {}, make("i", { class: "ring" }), "the pixel itself"),
  );
  const hatches = ["clit-hatch", "clit-hatch-soft"].map((id) =>
    svg(
      "pattern",
      { id, width: 0.28, height: 0.28, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("rect", { width: 0.09, height: 0.28 }),
    ),
  );
  root.append(svg("svg", { class: "definitions", "aria-hidden": "true" }, svg("defs", {}, ...hatches)));
  $(".shared-scale").addEventListener("change", (event) => {
    state.sharedScale = event.target.checked;
    showInspector();
  });
  const quantities = Object.entries(QUANTITIES).map(([value, { label }]) => make("option", { value }, label));
  $(".quantity").replaceChildren(...quantities);
  $(".quantity").addEventListener("change", (event) => {
    state.quantity = event.target.value;
    $(".lowest").textContent = QUANTITIES[state.quantity].zero ? "0" : "smallest";
    showInspector();
  });
  $(".look-model").addEventListener("change", (event) => (state.saveLook = event.target.value));
  $(".look-save").addEventListener("click", saveLook);
  $(".unpick").addEventListener("click", unpick);
  $(".inspector").addEventListener("keydown", inspectorKey);
}

// The picked pixel's maps as a file: the server draws the same figure that the command line does.
async function saveLook() {
  const { row, column } = pickedPixel();
  const [model, suffix] = [$(".look-model").value, $(".look-suffix").value];
  $(".look-save").disabled = true;
  const question = { model, suffix, scale: shownScale(), chain: state.chain, pixel: [row, column] };
  const answer = await ask("look_file", question);
  $(".look-save").disabled = false;
  if (!answer.file) return answer.error && complain(answer.error);
  const bytes = Uint8Array.from(atob(answer.file), (character) => character.charCodeAt(0));
  const link = make("a", { href: URL.createObjectURL(new Blob([bytes])), download: answer.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Links: the address holds example, scale, magnification, centre, panes, cascade and picked pixel

let linkTimer = 0;

function keepLink() {
  if (linkTimer || !state.picture) return;
  linkTimer = setTimeout(() => {
    linkTimer = 0;
    if (!state.picture) return;
    try {
      history.replaceState(history.state, "", `#${link()}`);
    } catch (error) {
      console.warn(error); // a frame that may not: the page works without
    }
  }, LINK_MS);
}

function link() {
  const { view, picture, picked } = state;
  const near = (...numbers) => numbers.map((each) => Number(each.toFixed(6))).join(","); // to far less than a screen pixel
  const entries = {
    example: picture.example,
    scale: shownScale(),
    magnify: Number(view.magnification.toFixed(4)),
    at: near(view.y, view.x),
    panes: state.panes
      .slice(0, state.paneCount)
      .map((pane) => pane.model)
      .join(","),
    wipe: state.wipe && Number(state.wipe.toFixed(4)),
    chain: state.chain,
    truth: picture.truth,
    pixel: picked && near(picked.y, picked.x),
  };
  const told = Object.entries(entries).filter(([, value]) => value != null);
  return told.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&");
}

// What a link asks for, with what it may not ask for left out.
function readLink() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const numbers = (key) => {
    const found = (asked.get(key) ?? "").split(",").map((each) => (each === "" ? NaN : Number(each)));
    return found.every(Number.isFinite) ? found : [];
  };
  const [scale] = numbers("scale");
  const [magnification] = numbers("magnify");
  const known = new Set(["input", ...state.models.keys(), ...truthModels().map((model) => model.name)]);
  const panes = (asked.get("panes") ?? "").split(",").filter((name) => known.has(name));
  return {
    example: asked.get("example"),
    scale: scale && clamp(scale, 1, state.limits.scale),
    magnification: magnification && clamp(magnification, MAGNIFICATIONS[0], MAGNIFICATIONS.at(-1)),
    at: numbers("at"),
    panes: panes.slice(0, FIRST_PANES.length),
    chain: ["published", "balanced"].includes(asked.get("chain")) ? asked.get("chain") : "published",
    pixel: numbers("pixel"),
    truth: numbers("truth")[0],
    wipe: numbers("wipe")[0],
  };
}

function followLink({ scale, magnification, at, pixel }) {
  const { height, width } = state.picture;
  const view = { scale: scale || state.view.scale, magnification: magnification || 1 };
  if (at.length === 2) Object.assign(view, { y: at[0], x: at[1] });
  changeView(view);
  if (pixel.length !== 2 || pixel[0] < 0 || pixel[1] < 0 || pixel[0] >= height || pixel[1] >= width) return;
  state.picked = { y: pixel[0], x: pixel[1] };
  centrePick(0, 0);
}

// Pictures

function complain(sentence) {
  $(".notice").hidden = !sentence;
  $(".notice p").textContent = sentence;
}

function showCaption(text, busy) {
  $(".caption").textContent = text;
  $(".pictures").dataset.busy = busy ? "yes" : "no";
}

function pictureChanged() {
  state.looks.clear();
  state.picked = null;
  for (const pane of state.panes) Object.assign(pane, { frames: [], newest: 0, request: null, failed: -1 });
  for (const button of root.querySelectorAll(".example")) {
    button.setAttribute("aria-pressed", String(button.dataset.name === state.picture?.example));
  }
  showInspector();
  showFull();
  showScores();
  draw();
}

async function openPicture(question, details, example) {
  complain("");
  showCaption("Opening the picture…", true);
  state.opening = true;
  const answer = await ask(question, details);
  state.opening = false;
  if (!answer.image) {
    showCaption(state.picture ? describePicture() : "", false);
    if (answer.error && !answer.expired) complain(answer.error);
    return pumpAll();
  }
  const bitmap = await decodeWebp(answer.image);
  const { id, name, height, width, credit, notice, truth } = answer;
  state.picture = { id, name, height, width, credit, notice, bitmap, example, truth };
  state.scores.clear();
  fillMenus();
  showCaption(describePicture(), false);
  pictureChanged();
  changeView({ scale: truth ?? state.view.scale, magnification: 1, y: height / 2, x: width / 2 });
  if (truth) scoreAll();
}

function describePicture() {
  const { name, height, width, credit, notice, truth } = state.picture;
  const { title, author, licence } = credit;
  const who = [author, licence].filter(Boolean).join(", ");
  return `${title ?? name}, ${width} × ${height} pixels${truth ? `, made smaller by ${times(truth)}` : ""}${who ? ` · ${who}` : ""}${notice ? ` · ${notice}` : ""}`;
}

const openExample = (name) => openPicture("open_example", { name }, name);

async function openFile(file) {
  if (!file) return;
  if (file.size > state.limits.upload_bytes) {
    const most = Math.round(state.limits.upload_bytes / 1e6);
    return complain(`This file has ${Math.round(file.size / 1e6)} MB: choose one of at most ${most} MB.`);
  }
  showCaption("Sending the picture…", true);
  let path;
  try {
    path = (await upload(file)).path;
  } catch (error) {
    console.warn(error);
    showCaption(state.picture ? describePicture() : "", false);
    return complain("The file could not be sent: check the connection, then choose it again.");
  }
  await openPicture("open_upload", { path, name: file.name });
}

function buildPictures(examples) {
  const buttons = examples.map(({ name, title, thumbnail }) =>
    make(
      "button",
      {
        type: "button",
        class: "example",
        "data-name": name,
        title,
        "aria-pressed": "false",
        onclick: () => openExample(name),
      },
      make("img", { src: `data:image/webp;base64,${thumbnail}`, alt: title }),
    ),
  );
  $(".examples").replaceChildren(...buttons);
  $(".truth-toggle").addEventListener("click", toggleTruth);
  $(".curve-start").addEventListener("click", scoreCurve);
  const input = $(".upload-input");
  input.addEventListener("change", async () => {
    await openFile(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    openFile(event.dataTransfer.files[0]);
  });
}

// Ground truth: the picture made smaller, and every method measured against what it was

async function toggleTruth() {
  if (!state.picture || state.opening) return;
  const { truth, example } = state.picture;
  await openPicture("open_truth", { scale: truth ? null : shownScale() }, example);
}

// Methods to measure: those of the panes, and bicubic, from which gains are counted.
function measured() {
  const shown = shownPanes().map((pane) => modelOf(pane.model));
  const names = shown.filter((model) => model?.available && model.of !== "truth").map((model) => model.of);
  return [...new Set(["bicubic", ...names])];
}

async function scoreOne(model, scale) {
  const { picture, chain } = state;
  const known = state.scores.get(model) ?? state.scores.set(model, new Map()).get(model);
  if (known.get(scale)?.chain === chain) return true;
  const answer = await ask("score", { model, scale, chain });
  if (picture !== state.picture || chain !== state.chain) return false;
  if (answer.error && !answer.expired) complain(answer.error);
  if (answer.ssim === undefined) return false;
  known.set(scale, { ...answer, chain });
  showScores();
  return true;
}

async function scoreAll() {
  showScores();
  for (const model of measured()) if (!(await scoreOne(model, state.picture?.truth))) return;
}

// PSNR against scale, a point at a time, until the picture changes or its scales run out.
async function scoreCurve() {
  const { picture } = state;
  state.curving = true;
  showScores();
  const sides = [picture.height, picture.width].map((side) => side * picture.truth);
  for (const scale of CURVE_SCALES) {
    if (Math.min(...sides) < scale * CURVE_LEAST) break;
    for (const model of measured()) {
      if (picture !== state.picture || !(await scoreOne(model, scale))) return (state.curving = false);
    }
  }
  state.curving = false;
  showScores();
}

function showScores() {
  const { picture } = state;
  const truth = picture?.truth;
  $(".truth-toggle").setAttribute("aria-pressed", String(Boolean(truth)));
  $(".truth-toggle").disabled = !picture;
  for (const control of [".scale-slider", ".scale-number"]) $(control).disabled = Boolean(truth);
  $(".scores").hidden = !truth;
  if (!truth) return;
  const rows = measured().map((name) => [state.models.get(name), state.scores.get(name)?.get(truth)]);
  const base = state.scores.get("bicubic")?.get(truth);
  const best = Math.max(...rows.map(([, score]) => score?.psnr ?? -Infinity));
  const cells = ([model, score]) => {
    const gain = score && base && model.name !== "bicubic" ? (score.psnr - base.psnr).toFixed(2) : "";
    const numbers = score
      ? [score.psnr?.toFixed(2) ?? "equal", gain && (gain > 0 ? `+${gain}` : gain), score.ssim.toFixed(4), score.psnr_rgb?.toFixed(2) ?? "equal"]
      : ["…", "", "", ""];
    const row = make("tr", {}, make("th", { scope: "row" }, model.label), ...numbers.map((text) => make("td", {}, text)));
    if (score?.psnr === best) row.className = "best";
    return row;
  };
  const titles = ["Against the ground truth", "PSNR, dB", "over bicubic", "SSIM", "PSNR of RGB"];
  $(".score-table").replaceChildren(
    make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, ...rows.map(cells)),
  );
  $(".curve-start").disabled = state.curving;
  $(".curve-start").textContent = state.curving ? "Computing…" : "PSNR against scale";
  drawCurve();
}

// Two charts, PSNR and what it is over bicubic, once there are two scales to join.
function drawCurve() {
  const base = state.scores.get("bicubic");
  const methods = measured().map((name, index) => ({
    label: state.models.get(name).label,
    colour: CURVE_COLOURS[index % CURVE_COLOURS.length],
    points: [...(state.scores.get(name) ?? [])]
      .filter(([scale, each]) => each.psnr && base?.get(scale)?.psnr)
      .sort(([a], [b]) => a - b)
      .map(([scale, each]) => ({ scale, psnr: each.psnr, gain: each.psnr - base.get(scale).psnr })),
  }));
  const lines = methods.filter(({ points }) => points.length > 1);
  $(".curve").hidden = !lines.length;
  if (!lines.length) return;
  const legend = lines.map(({ label, colour }) => make("span", {}, make("i", { style: `background: ${colour}` }), label));
  $(".curve").replaceChildren(
    make("div", { class: "curve-legend" }, ...legend),
    chart(lines, "psnr", "PSNR, dB"),
    chart(lines, "gain", "over bicubic, dB"),
  );
}

function chart(lines, key, title) {
  const [width, height, left, bottom, top] = [300, 220, 36, 26, 24];
  const all = lines.flatMap(({ points }) => points);
  const values = all.map((point) => point[key]);
  const scales = [...new Set(all.map(({ scale }) => scale))].sort((a, b) => a - b);
  const spread = Math.max(...values) - Math.min(...values) || 1;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10].find((each) => spread / each <= 6) ?? 20;
  const low = Math.floor(Math.min(...values) / step) * step;
  const high = Math.max(Math.ceil(Math.max(...values) / step) * step, low + step);
  const x = (scale) => left + ((width - left - 10) * Math.log(scale / scales[0])) / Math.log(scales.at(-1) / scales[0]);
  const y = (value) => top + ((height - bottom - top) * (high - value)) / (high - low);
  const text = (label, attributes) => {
    const node = svg("text", attributes);
    node.textContent = label;
    return node;
  };
  const grid = [text(title, { x: left, y: 12, class: "name" })];
  for (let value = low; value < high + step / 2; value += step) {
    grid.push(svg("line", { x1: left, x2: width - 10, y1: y(value), y2: y(value), class: "grid" }));
    grid.push(text(value.toFixed(step < 1 ? 1 : 0), { x: left - 6, y: y(value) + 4, "text-anchor": "end" }));
  }
  let free = -Infinity; // labels keep clear of each other
  for (const scale of scales.filter((each) => CURVE_SCALES.includes(each))) {
    if (x(scale) < free) continue;
    free = x(scale) + 26;
    grid.push(text(`×${scale}`, { x: x(scale), y: height - 8, "text-anchor": "middle" }));
  }
  const drawn = lines.map(({ label, colour, points }) =>
    svg(
      "g",
      { style: `--line-colour: ${colour}` },
      svg("polyline", { points: points.map((each) => `${x(each.scale)},${y(each[key])}`).join(" "), class: "line" }),
      ...points.map((each) => {
        const told = svg("title");
        told.textContent = `${label} ×${each.scale}: ${each[key].toFixed(2)} dB`;
        return svg("circle", { cx: x(each.scale), cy: y(each[key]), r: 3, class: "dot" }, told);
      }),
    ),
  );
  const name = `${title}, against scale: ${lines.map(({ label }) => label).join(", ")}`;
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name }, ...grid, ...drawn);
}

// The full picture: the only question that goes through gradio's queue

function showFull() {
  const { full } = state;
  const running = full.state === "running";
  const size = state.picture && outputSize(shownScale());
  $(".full-size").textContent = size ? `${size.width} × ${size.height} pixels at ${times(shownScale())}` : "";
  $(".full").dataset.state = full.state;
  $(".full-start").disabled = running || !state.picture;
  $(".full-progress").hidden = !running;
  $(".full-link").hidden = full.state !== "done";
  $(".full-error").hidden = !(full.state === "error" || full.state === "stopped");
  $(".full-error").textContent = full.state === "stopped" ? "Stopped." : (full.error ?? "");
  if (running) {
    $(".full-progress progress").value = full.done;
    const left = full.seconds_left;
    $(".full-left").textContent =
      left == null ? "Starting…" : `${Math.round(100 * full.done)} %, about ${duration(left)} left`;
  }
  if (full.state === "done") {
    $(".full-link").href = serverUrl(full.file);
    $(".full-link").download = full.name;
    $(".full-link").textContent =
      `Download PNG, ${full.size[1]} × ${full.size[0]}, ${(full.bytes / 1e6).toFixed(1)} MB`;
  }
}

const duration = (seconds) =>
  seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;

function buildFull() {
  $(".full-start").addEventListener("click", () => {
    const run = state.full.run + 1;
    state.full = { run, state: "running", done: 0, seconds_left: null };
    showFull();
    const model = $(".full-model").value;
    const { token, picture, chain } = state;
    trigger("full_picture", { token, picture: picture.id, model, chain, scale: shownScale(), run });
  });
  $(".full-stop").addEventListener("click", () => {
    ask("stop_full");
    state.full = { run: state.full.run + 1, state: "stopped" }; // whatever the stopped run still says is not heard
    showFull();
  });
  watch("value", () => {
    if (props.value?.run !== state.full.run) return;
    state.full = props.value;
    showFull();
  });
}

// How a program asks this very server

function buildSnippet() {
  const lines = [
    "from gradio_client import Client, handle_file",
    "",
    `client = Client("${serverUrl("")}")`,
    'picture = handle_file("photo.png")',
    'path = client.predict(picture, "lit-light", 4.0, api_name="/upscale")  # a PNG file',
    'seen = client.predict(picture, row=10, column=20, model="clit-light", scale=8.0, api_name="/attention")',
    'seen["stages"][0]["weights"]  # heads x 7 x 7',
  ];
  const text = lines.join("\n");
  $(".snippet").textContent = text;
  $(".copy-snippet").addEventListener("click", async (event) => {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch (error) {
      console.warn(error); // a frame that may not: the text can still be selected
      getSelection().selectAllChildren($(".snippet"));
      button.textContent = "Selected: copy it by keyboard";
    }
  });
}

// A window for tests and for the curious; nothing here changes anything.
function readOnlyHook() {
  const base64 = (data) => {
    let text = "";
    for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
    return btoa(text);
  };
  const rgba = (canvas) => base64(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
  const paneOf = (model) => state.panes.find((pane) => pane.model === model);

  function panePixels(model) {
    const frame = paneOf(model).frames.findLast((each) => each.pass === "exact");
    if (!frame) return null;
    const canvas = new OffscreenCanvas(frame.window.width, frame.window.height);
    canvas.getContext("2d").drawImage(frame.bitmap, 0, 0);
    return { scale: frame.scale, size: frame.size, window: frame.window, rgba: rgba(canvas) };
  }

  function canvasPixels(model) {
    const { canvas } = paneOf(model);
    return { height: canvas.height, width: canvas.width, corner: origin(outputSize(shownScale())), rgba: rgba(canvas) };
  }

  return Object.freeze({
    panePixels,
    canvasPixels,
    view: () => ({ ...state.view, scale: shownScale(), wanted: state.wanted, pane: { ...state.pane } }),
    picture: () => state.picture && { id: state.picture.id, height: state.picture.height, width: state.picture.width },
    passes: () => Object.fromEntries(shownPanes().map((pane) => [pane.model, pane.element.dataset.pass])),
    scores: () => [...state.scores].map(([model, found]) => [model, [...found]]),
    picked: () => state.picked && pickedPixel(),
    look: (model) => structuredClone(state.looks.get(model) ?? null),
  });
}

async function start() {
  buildPanes();
  buildWipe();
  buildControls();
  buildGestures();
  buildInspector();
  buildFull();
  buildSnippet();
  root.__viewer = readOnlyHook();
  new ResizeObserver(layout).observe(root);
  layout();
  window.addEventListener("pagehide", () => state.token && navigator.sendBeacon(serverUrl("end"), state.token));
  const offer = await begin();
  if (!offer) return;
  const asked = location.hash.length > 1; // before the view begins to write its own
  const link = readLink();
  link.panes.forEach((model, index) => state.models.has(model) && (state.panes[index].model = model));
  fillMenus();
  buildPictures(offer.examples);
  setChain(link.chain);
  if (link.panes.length || link.wipe) {
    showPanes(link.panes.length || FIRST_PANES.length, link.wipe ? clamp(link.wipe, 0, 1) : null);
  }
  root.dataset.ready = "yes";
  const names = offer.examples.map((example) => example.name);
  const first = names.includes(link.example) ? link.example : names[0];
  if (!first) return showCaption("Upload a picture to begin.", false);
  await openExample(first);
  if (!state.picture || !asked) return;
  if (link.truth >= 1 && link.truth <= state.limits.scale) {
    await openPicture("open_truth", { scale: link.truth }, first);
    link.panes.forEach((model, index) => modelOf(model) && choose(state.panes[index], model));
  }
  followLink(link);
}

start();
