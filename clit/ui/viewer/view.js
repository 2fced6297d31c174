// Geometry

const shownScale = () => Math.round(state.view.scale * 100) / 100;

// Where the output has a size of its own, `shownScale` is that of its rows, and at other scales it is as much smaller.
function outputSize(scale) {
  const { height, width } = state.picture;
  if (!state.size) return { height: roundHalfEven(height * scale), width: roundHalfEven(width * scale) };
  const part = scale / shownScale();
  return {
    height: Math.max(height, roundHalfEven(state.size.height * part)),
    width: Math.max(width, roundHalfEven(state.size.width * part)),
  };
}

// What a question says of the size: the scale, and the size itself where that does not follow from it.
const sizeAsked = (scale, { height, width }) => ({ scale, size: state.size ? [height, width] : null });

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

// The same part at a quarter of the scale: quick, true to the model at that scale, and marked as a preview.
function preview(target) {
  const scale = Math.max(1, Math.round((100 * target.scale) / COARSE_FACTOR) / 100);
  const size = outputSize(scale);
  return { pass: "preview", scale, size, window: visibleWindow(size) };
}

const reaches = (frame, target) =>
  frame.pass !== "preview" && sameSize(frame.size, target.size) && contains(frame.window, target.window);

// Whether a frame shows all that the target does, at no less than a preview's scale.
function previews({ pass, wanted, size, window }, target) {
  if (pass === "preview" && wanted === state.wanted) return true; // made to be, whatever rounding made of it
  const y = target.size.height / size.height;
  const x = target.size.width / size.width;
  const [top, left] = [window.top * y, window.left * x];
  const enlarged = { top, left, height: window.height * y + 1e-6, width: window.width * x + 1e-6 };
  return y <= COARSE_FACTOR && x <= COARSE_FACTOR && contains(enlarged, target.window);
}

// Of the frames at hand, the finest that previews the target.
const previewOf = (pane, target) => framesOf(pane).findLast((frame) => previews(frame, target));

// What a pane can be drawn from, from the roughest to the finest.
function framesOf(pane) {
  const ahead = isPainted(pane) ? undefined : state.ahead.get(pane.model);
  return (ahead ? [ahead, ...pane.frames] : [...pane.frames]).sort((a, b) => a.size.height - b.size.height);
}

// The output pixel that contains a position, in LR pixels, at the present scale.
function pixelOf({ y, x }) {
  const size = outputSize(shownScale());
  return {
    row: clamp(Math.floor((y * size.height) / state.picture.height), 0, size.height - 1),
    column: clamp(Math.floor((x * size.width) / state.picture.width), 0, size.width - 1),
    size,
  };
}

const pickedPixel = () => pixelOf(state.picked);

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
  const same = (frame) => sameSize(frame.size, target.size);
  const frames = framesOf(pane);
  for (const frame of [...frames.filter((each) => !same(each)), ...frames.filter(same)]) {
    drawLayer(context, frame, !same(frame) || state.view.magnification < 1);
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
  const told = (each) => (each.span ? `${each.span.map((bits) => bits.toFixed(1)).join("–")} bits` : took(each));
  if (frame?.pass === "exact") return ["exact", `exact · ${told(frame)}`, detail(frame)];
  if (frame)
    return [
      "overview",
      `overview, from ${times(frame.scale)} · ${took(frame)}`,
      `The whole output has far more pixels than this pane: rendered at ${times(frame.scale)} instead. ` + detail(frame),
    ];
  const rough = previewOf(pane, target);
  if (rough)
    return [
      "preview",
      `rough, from ${times(rough.scale)}`,
      `Rendered at ${times(rough.scale)} and stretched; the exact pass follows`,
    ];
  const some = pane.frames.length > 0;
  return ["stretched", some ? "stretched" : "waiting", "The last picture, stretched; the next pass follows"];
}

// Picked pixel, attention windows and the hovered neighbour, over the pictures.
function drawOverlay(pane) {
  pane.overlay.replaceChildren();
  if (!state.picture || !pane.empty.hidden) return;
  state.pins.forEach((pin, index) => drawPin(pane.overlay, pin, index + 1));
  if (!state.picked) return;
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

function drawPin(overlay, pin, number) {
  const { row, column, size } = pixelOf(pin);
  const at = lrToScreen(((row + 0.5) * state.picture.height) / size.height, ((column + 0.5) * state.picture.width) / size.width);
  const text = svg("text", { class: "pin-number", x: at.x + 8, y: at.y - 6 });
  text.textContent = number;
  for (const tone of ["dark", "light"]) overlay.append(svg("circle", { class: `pin ${tone}`, cx: at.x, cy: at.y, r: 5 }));
  overlay.append(text);
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
        label: look.answer.stages.length > 1 || boxes.size ? `stage ${index + 1}` : "",
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
