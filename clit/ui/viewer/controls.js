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
  state.size = null;
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
  const wrong = number.getAttribute("aria-invalid") === "true";
  if (wrong && document.activeElement !== number) scaleError(""); // the view has moved on without it
  if (!wrong || document.activeElement !== number) number.value = scale.toFixed(2);
  const { magnification } = state.view;
  const fraction = MAGNIFICATIONS.includes(magnification) && magnification < 1 && magnification !== 2 / 3;
  $(".magnify-value").textContent =
    magnification >= 1
      ? `${magnification}×`
      : fraction
        ? `1/${Math.round(1 / magnification)}×`
        : `${magnification.toPrecision(2)}×`;
  const size = state.picture && outputSize(scale);
  for (const side of ["width", "height"]) {
    const field = $(`.size-${side}`);
    field.disabled = !size || Boolean(state.picture.truth);
    if (document.activeElement !== field) field.value = size ? size[side] : "";
  }
  $(".per-axis").textContent = state.size
    ? `${times(size.width / state.picture.width)} across, ${times(size.height / state.picture.height)} down`
    : "";
  showMaking();
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

// What panes of LIT and CLIT can show: their colours, or, of a head, how wide or whereto it looks.
const PAINTS = {
  colours: { label: "colours", note: "" },
  entropy: { label: "entropy of attention", note: "In bits, over the range that its pane tells: at 5.6 all neighbours count alike, at 0 one alone" },
  direction: { label: "direction of attention", note: "Where a pixel's weight falls, seen from it; dark: all around" },
};

// The choice of what attention panes show, with its colours explained; nothing while no pane attends.
function showPaint() {
  const models = shownPanes().map((pane) => modelOf(pane.model));
  const heads = Math.max(0, ...models.filter((model) => model?.available && !model.error).map((model) => model.heads));
  $(".paint").hidden = !heads;
  if (!heads) return;
  const head = $(".paint-head");
  if (head.options.length !== heads + 1) {
    const named = Array.from({ length: heads }, (_, index) => make("option", { value: index + 1 }, `head ${index + 1}`));
    head.replaceChildren(make("option", { value: 0 }, "all heads"), ...named);
  }
  if (state.head > heads) state.head = 0;
  head.value = state.head;
  head.hidden = state.paint === "colours";
  $(".paint-what").value = state.paint;
  const together = state.paint === "entropy" && !state.head ? "; all heads: the mean of their entropies" : "";
  $(".paint-note").textContent = PAINTS[state.paint].note + together;
  $(".paint-bar").hidden = state.paint !== "entropy";
  $(".paint-wheel").hidden = state.paint !== "direction";
}

// The colours of directions, as `attention_colours` of the server makes them: a disc of the window's whole radius.
function drawWheel() {
  const canvas = $(".paint-wheel");
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  const radius = canvas.width / 2;
  for (let i = 0; i < canvas.height; i += 1) {
    for (let j = 0; j < canvas.width; j += 1) {
      const [dy, dx] = [(i + 0.5) / radius - 1, (j + 0.5) / radius - 1];
      const length = Math.hypot(dy, dx);
      if (length > 1) continue;
      const reached = Math.sqrt(length);
      const colour = oklab(0.25 + 0.5 * reached, (0.17 * reached * dx) / length, (-0.17 * reached * dy) / length);
      picture.data.set([...colour, 255], 4 * (i * canvas.width + j));
    }
  }
  context.putImageData(picture, 0, 0);
}

// Oklab (Ottosson, 2020) -> sRGB in 0..255.
function oklab(lightness, a, b) {
  const [l, m, s] = [
    lightness + 0.3963377774 * a + 0.2158037573 * b,
    lightness - 0.1055613458 * a - 0.0638541728 * b,
    lightness - 0.0894841775 * a - 1.291485548 * b,
  ].map((each) => each ** 3);
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((value) => {
    const bound = clamp(value, 0, 1);
    return Math.round(255 * (bound <= 0.0031308 ? 12.92 * bound : 1.055 * bound ** (1 / 2.4) - 0.055));
  });
}

function setPaint(paint, head) {
  state.paint = paint in PAINTS ? paint : "colours";
  state.head = head;
  for (const pane of state.panes) {
    if (modelOf(pane.model)?.kind === "attention") Object.assign(pane, { frames: [], newest: 0, request: null });
  }
  showPaint();
  changeView({});
}

// A size as people type it: both fields together say by how much each axis is enlarged.
function readSize() {
  if (!state.picture || state.picture.truth) return;
  const wanted = {};
  for (const side of ["width", "height"]) {
    const typed = $(`.size-${side}`).value.trim();
    const most = Math.floor(state.picture[side] * state.limits.scale);
    wanted[side] = /^[0-9]{1,6}$/.test(typed) ? Number(typed) : NaN;
    if (!(wanted[side] >= state.picture[side] && wanted[side] <= most)) {
      const told = `The ${side} is ${typed.slice(0, 20) || "empty"}, but must be ${state.picture[side]} to ${most} pixels.`;
      return scaleError(told, `.size-${side}`);
    }
  }
  scaleError("");
  setSize(wanted);
}

function setSize(size) {
  state.size = null;
  const scale = clamp(size.height / state.picture.height, 1, state.limits.scale);
  const rounded = Math.round(scale * 100) / 100;
  const plain = sameSize(size, outputSize(rounded));
  if (!plain) state.size = size;
  changeView({ scale: plain ? rounded : scale });
  lookAgain();
}

// One sentence about a wrong scale or size, and which field it is of; an empty one takes it back.
function scaleError(sentence, wrong = ".scale-number") {
  const field = $(".field-error");
  field.textContent = sentence;
  field.hidden = !sentence;
  for (const each of [".scale-number", ".size-width", ".size-height"]) {
    $(each).setAttribute("aria-invalid", sentence && each === wrong ? "true" : "false");
  }
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
  for (const side of ["width", "height"]) $(`.size-${side}`).addEventListener("change", readSize);
  $(".paint-what").replaceChildren(
    ...Object.entries(PAINTS).map(([value, { label }]) => make("option", { value }, label)),
  );
  drawWheel();
  $(".paint-what").addEventListener("change", (event) => setPaint(event.target.value, state.head));
  $(".paint-head").addEventListener("change", (event) => setPaint(state.paint, Number(event.target.value)));
  $(".full-screen").addEventListener("click", toggleFullScreen);
  root.addEventListener("fullscreenchange", () => {
    $(".full-screen").setAttribute("aria-pressed", String(document.fullscreenElement === root));
    layout();
  });
  $(".chain").addEventListener("change", (event) => setChain(event.target.value));
  for (const button of root.querySelectorAll(".pane-count")) {
    button.addEventListener("click", () => showPanes(Number(button.textContent)));
  }
  $(".notice-close").addEventListener("click", () => complain(""));
}

async function toggleFullScreen() {
  try {
    await (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen());
  } catch (error) {
    console.warn(error); // a frame that may not
    complain("This browser does not allow full screen here: open the page in a window of its own.");
  }
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
    if (state.picked) $(".inspector").focus({ preventScroll: true }); // from here the arrow keys walk the pixel
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
    p: pin,
    P: pin,
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
