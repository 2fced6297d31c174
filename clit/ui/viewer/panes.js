// Rendering: stretch at once, then a preview, then the exact pass

function changeView(change) {
  Object.assign(state.view, change);
  if (state.picture) {
    state.view.y = clamp(state.view.y, 0, state.picture.height);
    state.view.x = clamp(state.view.x, 0, state.picture.width);
  }
  state.wanted += 1;
  state.changedAt = performance.now();
  state.rested = false;
  showControls();
  draw();
  pumpAll();
  clearTimeout(changeView.rest);
  changeView.rest = setTimeout(viewRested, SETTLE_MS);
}

function viewRested() {
  state.rested = true;
  followGuide();
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
  if (pane.request?.wanted === state.wanted) return;
  // While the hand moves, a preview on its way is let arrive: else nothing would until the hand rests.
  if (pane.request?.pass === "preview" && !state.rested) return;
  if (!previewOf(pane, target) && previewHelps(pane, target)) requestPass(pane, preview(target));
  else if (state.rested) requestPass(pane, target);
}

// Whether a pane shows where its heads look instead of what they make.
function isPainted(pane) {
  const model = modelOf(pane.model);
  return state.paint !== "colours" && model?.available && model.kind === "attention" && !model.error;
}

function previewHelps(pane, target) {
  if (target.scale < COARSE_FROM || pane.model === "truth" || modelOf(pane.model).error) return false;
  const last = pane.frames.filter((frame) => frame.pass !== "preview").at(-1);
  const area = target.window.height * target.window.width;
  return !last || (last.milliseconds * area) / (last.window.height * last.window.width) > COARSE_WORTH_MS;
}

// Ask the server for a part of what a method makes of the picture: the answer, with its pixels as `bitmap`.
// scale and size as `sizeAsked` says them.
async function askView(name, kind, { scale, size, window }, painted) {
  const { of, stop, error } = modelOf(name);
  const answer = await ask("render_view", {
    model: of,
    kind,
    error,
    stages: stop,
    chain: state.chain,
    ...(painted ? { paint: state.paint, head: state.head } : {}),
    scale,
    size,
    window: [window.top, window.left, window.height, window.width],
    wanted: state.wanted,
  });
  return { ...answer, bitmap: answer.image ? await decodeWebp(answer.image) : null };
}

async function requestPass(pane, { pass, scale, size, window }) {
  const { picture, chain, paint, head } = state;
  const ticket = { pass, wanted: state.wanted, picture, model: pane.model, chain, paint, head };
  const asked = performance.now();
  pane.request = ticket;
  const kind = pass === "preview" ? "preview" : "exact";
  const answer = await askView(pane.model, kind, { ...sizeAsked(scale, size), window }, isPainted(pane));
  const { bitmap } = answer;
  if (pane.request === ticket) pane.request = null;
  const current =
    ticket.model === pane.model && ["picture", "chain", "paint", "head"].every((key) => ticket[key] === state[key]);
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
      span: answer.span,
      trip: performance.now() - asked,
    });
    showMaking(); // how long that will take is told from this
  } else if (current && answer.error && !answer.expired) {
    pane.failed = ticket.wanted;
    complain(answer.error);
  }
  showFactors();
  draw();
  pump(pane);
  waitToDrawAhead();
}

// While the view rests, the whole picture is drawn once with each method shown, at a small scale: from then on a view
// of any part can be previewed at once. Other questions come first.

function aheadScale() {
  const { height, width } = state.picture;
  const scale = Math.min(AHEAD_SCALE, Math.floor(100 * Math.sqrt(AHEAD_PIXELS / (height * width))) / 100);
  return scale < 1 ? null : scale;
}

function nextAhead() {
  if (!state.picture || state.opening || aheadScale() === null) return undefined;
  const wants = ({ kind, available, error }) => available && kind !== "plain" && !error;
  return shownPanes().find((pane) => !state.ahead.has(pane.model) && !isPainted(pane) && wants(modelOf(pane.model) ?? {}));
}

function waitToDrawAhead(milliseconds = AHEAD_MS) {
  clearTimeout(waitToDrawAhead.timer);
  if (nextAhead()) waitToDrawAhead.timer = setTimeout(drawAhead, milliseconds);
}

async function drawAhead() {
  if (state.drawingAhead) return;
  const model = nextAhead()?.model;
  if (!model) return;
  const busy = shownPanes().some((pane) => pane.request) || performance.now() - state.changedAt < AHEAD_MS;
  if (busy) return waitToDrawAhead();
  const { picture } = state;
  const scale = aheadScale();
  const size = { height: roundHalfEven(picture.height * scale), width: roundHalfEven(picture.width * scale) };
  const window = { top: 0, left: 0, ...size };
  state.drawingAhead = true;
  const { bitmap, error } = await askView(model, "ahead", { scale, size: null, window }, false);
  state.drawingAhead = false;
  if (bitmap && picture === state.picture) state.ahead.set(model, { pass: "preview", scale, bitmap, size, window });
  if (!error) waitToDrawAhead(bitmap ? AHEAD_MS : AHEAD_AGAIN_MS);
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
  showPaint();
  showMaking();
  draw();
  pump(pane);
  lookAgain();
  keepLink();
}

// Options of a menu for some models; what is not a method of its own stands in groups, below the methods.
function modelOptions(models) {
  const groups = new Map([["", []]]);
  for (const { name, available, label, reason, group } of models) {
    const told = available ? label : `${label} (no weights yet)`;
    const option = make("option", { value: name, disabled: !available, title: reason }, told);
    groups.set(group, [...(groups.get(group) ?? []), option]);
  }
  const [methods, ...others] = groups.values();
  const names = [...groups.keys()].slice(1);
  return [...methods, ...others.map((options, i) => make("optgroup", { label: names[i] }, ...options))];
}

function fillMenus() {
  const models = [...state.models.values(), ...(state.picture?.truth ? truthModels() : [])];
  for (const pane of state.panes) {
    pane.menu.replaceChildren(make("option", { value: "input" }, "Input"), ...modelOptions(models));
    if (pane.model !== "input" && !modelOf(pane.model)) pane.model = "input"; // it went with the ground truth
    pane.menu.value = pane.model;
    pane.element.dataset.model = pane.model;
  }
  fillMaking();
  showPaint();
}

// Of each pane's picture where so many rows of panes have the rest of the screen, below the controls.
function fullHeight(rows, gap) {
  const above = $(".panes").getBoundingClientRect().top + root.scrollTop;
  const caption = state.panes[0].element.querySelector("figcaption").offsetHeight + 8;
  return Math.max(160, Math.floor((innerHeight - above - gap * rows) / rows) - caption);
}

// Whole numbers of CSS pixels, so that canvas pixels and screen pixels coincide.
function layout() {
  const columns = state.wipe === null ? Math.min(state.paneCount, root.clientWidth >= 1000 ? 4 : 2) : 1;
  const gap = root.clientWidth >= 640 ? 12 : 6;
  const width = Math.floor(($(".panes").clientWidth - gap * (columns - 1)) / columns);
  for (const pane of state.panes) pane.element.hidden = !shownPanes().includes(pane);
  const height = document.fullscreenElement === root
    ? fullHeight(Math.ceil(shownPanes().length / (state.wipe === null ? columns : shownPanes().length)), gap)
    : Math.min(Math.round(width * PANE_HEIGHT[root.clientWidth >= 1000 ? columns : 0]), 900);
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
  showPaint();
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
