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
    size: state.size && near(state.size.width, state.size.height),
    paint: state.paint === "colours" ? null : `${state.paint},${state.head}`,
    pixel: picked && near(picked.y, picked.x),
    pins: state.pins.length ? near(...state.pins.flatMap(({ y, x }) => [y, x])) : null,
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
  const named = (asked.get("panes") ?? "").split(",").filter((name) => name);
  const panes = named.filter((name) => known.has(name));
  return {
    example: asked.get("example"),
    scale: scale && clamp(scale, 1, state.limits.scale),
    magnification: magnification && clamp(magnification, MAGNIFICATIONS[0], MAGNIFICATIONS.at(-1)),
    at: numbers("at"),
    panes: panes.slice(0, FIRST_PANES.length),
    unknown: named.filter((name) => !known.has(name)),
    chain: ["published", "balanced"].includes(asked.get("chain")) ? asked.get("chain") : "published",
    pixel: numbers("pixel"),
    pins: numbers("pins"),
    size: numbers("size"),
    paint: (asked.get("paint") ?? "").split(","),
    truth: numbers("truth")[0],
    wipe: numbers("wipe")[0],
  };
}

function followLink({ scale, magnification, at, pixel, pins, size, paint }) {
  const { height, width } = state.picture;
  const view = { scale: scale || state.view.scale, magnification: magnification || 1 };
  if (at.length === 2) Object.assign(view, { y: at[0], x: at[1] });
  if (PAINTS[paint[0]]) setPaint(paint[0], Math.max(0, Math.round(Number(paint[1])) || 0));
  changeView(view);
  const [across, down] = size;
  const fits = (n, least) => Number.isInteger(n) && n >= least && n <= least * state.limits.scale;
  if (!state.picture.truth && fits(across, width) && fits(down, height)) setSize({ height: down, width: across });
  const inside = ([y, x]) => y >= 0 && x >= 0 && y < height && x < width;
  const places = Array.from({ length: Math.floor(pins.length / 2) }, (_, index) => pins.slice(2 * index, 2 * index + 2));
  state.pins = places.filter(inside).slice(0, MOST_PINS).map(([y, x]) => ({ y, x, looks: new Map() }));
  if (pixel.length !== 2 || !inside(pixel)) return;
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
  state.pins = [];
  state.ahead.clear();
  for (const pane of state.panes) Object.assign(pane, { frames: [], newest: 0, request: null, failed: -1 });
  for (const button of root.querySelectorAll(".example")) {
    button.setAttribute("aria-pressed", String(button.dataset.name === state.picture?.example));
  }
  showInspector();
  showMaking();
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
  state.size = null;
  state.scores.clear();
  scaleError("");
  fillMenus();
  showCaption(describePicture(), false);
  pictureChanged();
  changeView({ scale: truth ?? state.view.scale, magnification: 1, y: height / 2, x: width / 2 });
  if (!truth) return;
  if (outputSize(truth).height < state.pane.height && outputSize(truth).width < state.pane.width) fit();
  scoreAll();
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
