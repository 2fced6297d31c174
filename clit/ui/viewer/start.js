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
    // Between a change and the next frame the panes still show, and are marked with, what was there before.
    passes: () => Object.fromEntries(shownPanes().map((pane) => [pane.model, drawing ? "drawing" : pane.element.dataset.pass])),
    drawnAhead: () => !state.drawingAhead && !nextAhead(),
    scores: () => [...state.scores].map(([model, found]) => [model, [...found]]),
    picked: () => state.picked && pickedPixel(),
    look: (model) => structuredClone(state.looks.get(model) ?? null),
    pins: () => state.pins.map((pin) => ({ ...pixelOf(pin), looks: [...pin.looks.keys()] })),
  });
}

async function start() {
  buildPanes();
  buildWipe();
  buildControls();
  buildGestures();
  buildInspector();
  buildMaking();
  buildSnippet();
  root.__viewer = readOnlyHook();
  new ResizeObserver(layout).observe(root);
  layout();
  window.addEventListener("pagehide", () => state.token && navigator.sendBeacon(serverUrl("end"), state.token));
  const offer = await begin();
  if (!offer) return;
  const asked = location.hash.length > 1; // before the view begins to write its own
  buildGuide(asked);
  if (offer.duplicate) Object.assign($(".duplicate"), { href: offer.duplicate, hidden: false });
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
  const missing = [...(link.example && link.example !== first ? [link.example] : []), ...link.unknown];
  if (missing.length) complain(`This link asks for what is not here: ${missing.join(", ").slice(0, 80)}. The rest is shown.`);
  if (link.truth >= 1 && link.truth <= state.limits.scale) {
    await openPicture("open_truth", { scale: link.truth }, first);
    link.panes.forEach((model, index) => modelOf(model) && choose(state.panes[index], model));
  }
  followLink(link);
}

start();
