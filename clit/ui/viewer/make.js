// Files made on request: the only questions that go through gradio's queue

const FILM_LARGEST = 400; // side of a method's frame at most, pixels
const shownModels = () =>
  [...new Set(shownPanes().map((pane) => modelOf(pane.model)?.of))].filter((name) => state.models.get(name)?.available);

function fillMaking() {
  const choices = [...state.models.values()].filter((model) => model.available && !model.stop);
  const chosen = $(".make-model").value;
  $(".make-model").replaceChildren(...modelOptions(choices));
  const named = (name) => choices.find((model) => model.name === name);
  const shown = state.panes.map((pane) => named(pane.model)).findLast((model) => model && model.kind !== "plain");
  const kept = named(chosen) ?? shown ?? choices.findLast((model) => !model.group);
  if (kept) $(".make-model").value = kept.name;
  const kinds = Object.entries(state.kinds).flatMap(([kind, suffixes]) =>
    suffixes.map((suffix) => make("option", { value: `${kind} ${suffix}` }, `${kind}, ${suffix.slice(1).toUpperCase()}`)),
  );
  if (!$(".make-kind").options.length) $(".make-kind").replaceChildren(...kinds);
}

const makingKind = () => $(".make-kind").value.split(" ");

// Seconds that a method's pane last took for each pixel; nothing while it shows none that is finished.
function pace(name) {
  const frames = shownPanes().filter((pane) => modelOf(pane.model)?.of === name).flatMap((pane) => pane.frames);
  const last = frames.findLast((frame) => frame.pass !== "preview");
  return last && last.milliseconds / 1000 / (last.window.height * last.window.width);
}

// How long it will take, about, going by the panes: nothing where they do not show all of the methods.
function makingTime() {
  const [kind] = makingKind();
  if (kind === "sheet") return "";
  const { height, width } = kind === "film" ? filmSide() : outputSize(shownScale());
  const paces = (kind === "film" ? shownModels() : [$(".make-model").value]).map(pace);
  const seconds = paces.reduce((sum, each) => sum + each, 0) * height * width * (kind === "film" ? state.filmFrames : 1);
  return seconds ? `, about ${duration(seconds)}` : "";
}

const filmSide = () => ({
  height: clamp(state.pane.height, 64, FILM_LARGEST),
  width: clamp(state.pane.width, 64, FILM_LARGEST),
});

// One line that says what the button will make.
function makingText() {
  const [kind] = makingKind();
  const scale = shownScale();
  const size = outputSize(scale);
  const names = shownModels().map((name) => state.models.get(name).label);
  if (kind === "film") return `×1 to ${times(scale)} about ${state.picked ? "the picked pixel" : "the middle of the view"}`;
  if (kind === "sheet") {
    const crops = state.pins.length ? `the ${state.pins.length} pinned place${state.pins.length > 1 ? "s" : ""}` : "this view";
    return `${crops} by ${names.length ? names.join(", ") : "no method: choose some in the panes"}`;
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
  $(".make-start").disabled = running || !state.picture || (kind !== "picture" && !shownModels().length);
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
  if (making.state === "done") {
    const [height, width] = making.size;
    const kind = making.name.split(".").at(-1).toUpperCase();
    $(".make-link").href = serverUrl(making.file);
    $(".make-link").download = making.name;
    $(".make-link").textContent = `Download ${kind}, ${width} × ${height}, ${(making.bytes / 1e6).toFixed(1)} MB`;
  }
}

const duration = (seconds) =>
  seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;

// Crops of a sheet, in output pixels: about every pinned place, else what the view shows, as large as a pane at most.
function sheetCrops(size) {
  if (!state.pins.length) {
    const { top, left, height, width } = visibleWindow(size);
    return [[top, left, height, width]];
  }
  return state.pins.map(({ y, x }) => {
    const [height, width] = [Math.min(128, size.height), Math.min(128, size.width)];
    const top = Math.round((y * size.height) / state.picture.height - height / 2);
    const left = Math.round((x * size.width) / state.picture.width - width / 2);
    return [clamp(top, 0, size.height - height), clamp(left, 0, size.width - width), height, width];
  });
}

function makingDetails(kind) {
  const scale = shownScale();
  const size = outputSize(scale);
  const { y, x } = state.picked ?? state.view;
  const { height, width } = filmSide();
  const each = {
    picture: () => ({ models: [$(".make-model").value] }),
    film: () => ({ models: shownModels(), about: [y, x], side: [height, width] }),
    sheet: () => ({ models: shownModels(), crops: sheetCrops(size) }),
  };
  return { ...sizeAsked(scale, size), ...each[kind]() };
}

function buildMaking() {
  for (const menu of [".make-kind", ".make-model"]) $(menu).addEventListener("change", showMaking);
  $(".make-start").addEventListener("click", () => {
    const run = state.making.run + 1;
    const [kind, suffix] = makingKind();
    state.making = { run, state: "running", done: 0, seconds_left: null };
    showMaking();
    const { token, picture, chain } = state;
    trigger("make", { token, picture: picture.id, kind, suffix, chain, run, ...makingDetails(kind) });
  });
  $(".make-stop").addEventListener("click", () => {
    ask("stop_making");
    state.making = { run: state.making.run + 1, state: "stopped" }; // whatever the stopped run still says is not heard
    showMaking();
  });
  watch("value", () => {
    if (props.value?.run !== state.making.run) return;
    state.making = props.value;
    showMaking();
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
  $(".snippet").textContent = lines.join("\n");
  for (const button of root.querySelectorAll(".copy")) button.addEventListener("click", copy);
}

async function copy(event) {
  const button = event.currentTarget;
  const source = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch (error) {
    console.warn(error); // a frame that may not: the text can still be selected
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: copy it by keyboard";
  }
}
