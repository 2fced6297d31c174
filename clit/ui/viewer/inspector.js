// The inspector

function pick(y, x) {
  if (!state.picture) return;
  const at = screenToLr(y, x);
  if (at.y < 0 || at.x < 0 || at.y >= state.picture.height || at.x >= state.picture.width) return;
  state.picked = at;
  centrePick(0, 0);
  followGuide();
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

// Pinned pixels stay beside the picked one, to be compared with it. Pinning one again lets it go.
function pin() {
  if (!state.picked || !state.picture) return;
  const here = pickedPixel();
  const at = state.pins.findIndex((each) => pixelOf(each).row === here.row && pixelOf(each).column === here.column);
  if (at >= 0) return unpin(at);
  if (state.pins.length === MOST_PINS) return complain(`There are ${MOST_PINS} pinned pixels: let one go first.`);
  state.pins.push({ ...state.picked, looks: new Map(state.looks) });
  pinsChanged();
}

function unpin(index) {
  complain(""); // that there were too many
  state.pins.splice(index, 1);
  pinsChanged();
}

function pinsChanged() {
  draw();
  showInspector();
  showMaking();
  lookAgain();
  keepLink();
}

// The picked pixel and the pinned ones: {y, x, looks}.
const lookedAt = () => [...(state.picked ? [{ ...state.picked, looks: state.looks }] : []), ...state.pins];

// Ask what the picked and pinned pixels looked at, one round at a time; if they have moved meanwhile, ask again.
async function lookAgain() {
  if (!lookedAt().length || !state.picture || state.looking || state.opening) return;
  const { picture, chain } = state;
  const scale = shownScale();
  const names = inspected();
  const missing = [];
  for (const place of lookedAt()) {
    const { row, column, size } = pixelOf(place);
    for (const name of place.looks.keys()) if (!names.includes(name)) place.looks.delete(name);
    for (const name of names) {
      const look = place.looks.get(name);
      const fresh = look && look.row === row && look.column === column && sameSize(look.size, size);
      if (!fresh || look.chain !== chain) missing.push({ name, looks: place.looks, row, column, size, scale, chain });
    }
  }
  if (!missing.length) return showInspector();
  state.looking = true;
  showInspector();
  const answers = await Promise.all(
    missing.map(({ name, row, column, size }) =>
      ask("inspect", { model: name, ...sizeAsked(scale, size), chain, pixel: [row, column] }),
    ),
  );
  state.looking = false;
  if (picture !== state.picture) return lookAgain();
  missing.forEach(({ name, looks, ...rest }, index) => {
    if (answers[index].stages) looks.set(name, { ...rest, answer: answers[index] });
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
  $(".pin-toggle").hidden = !state.picked;
  if (!state.picked) {
    $(".maps").replaceChildren();
    $(".enlarged").replaceChildren();
    return showPins();
  }
  const { row, column, size } = pickedPixel();
  $(".picked").textContent = `Row ${row} of ${size.height}, column ${column} of ${size.width}, at ${times(shownScale())}`;
  const looks = inspected().filter((name) => state.looks.has(name));
  $(".look-model").replaceChildren(
    ...looks.map((name) => make("option", { value: name }, state.models.get(name).label)),
  );
  $(".save-look").hidden = !looks.length;
  showPins();
  if (!looks.length) return;
  state.rows = looks.flatMap((name) => lookRows(state.models.get(name), state.looks.get(name), state.picked));
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
  hintMore();
  showEnlarged();
}

// What is wider than the screen fades at the right, as long as there is more.
function hintMore() {
  for (const each of root.querySelectorAll(".maps, .pins-scroll")) {
    each.dataset.more = each.scrollWidth - each.clientWidth - each.scrollLeft > 4 ? "yes" : "no";
  }
}

// The pinned pixels: a column each beside the picked one, a row per method and stage, all of the map drawn large.
function showPins() {
  const pinned = state.picked && state.pins.some((each) => sameSize(pixelOf(each).size, pickedPixel().size) &&
    pixelOf(each).row === pickedPixel().row && pixelOf(each).column === pickedPixel().column);
  $(".pin-toggle").setAttribute("aria-pressed", String(Boolean(pinned)));
  $(".pins").hidden = !state.pins.length;
  if (!state.pins.length) return;
  const columns = lookedAt().map((place, index) => ({
    place,
    title: state.picked && index === 0 ? "Picked" : `Pin ${index + (state.picked ? 0 : 1)}`,
    rows: inspected()
      .filter((name) => place.looks.has(name))
      .flatMap((name) => lookRows(state.models.get(name), place.looks.get(name), place)),
  }));
  const keys = [...new Set(columns.flatMap(({ rows }) => rows.map(({ key }) => key)))];
  const head = columns.map(({ place, title }) => {
    const { row, column } = pixelOf(place);
    const number = title.startsWith("Pin") ? Number(title.slice(4)) : 0;
    const go = make("button", { type: "button", class: "button pin-go", title: "Make this the picked pixel" }, title);
    go.addEventListener("click", () => pickPlace(place));
    const away = number && make("button", { type: "button", class: "button pin-away", "aria-label": `Let pin ${number} go` }, "×");
    if (away) away.addEventListener("click", () => unpin(number - 1));
    return make("th", { scope: "col" }, number ? go : title, away || null, make("span", { class: "note" }, `row ${row}, column ${column}`));
  });
  const lines = keys.map((key) => {
    const found = columns.map(({ rows }) => rows.find((row) => row.key === key));
    const { model, note } = found.find(Boolean);
    const cells = found.map((row) => {
      if (!row) return make("td", {}, "…");
      const map = row.maps[Math.min(state.enlarged.map, row.maps.length - 1)];
      return make("td", {}, make("div", { class: "pin-cell" }, patchFigure(row), mapButton(row, map)));
    });
    const label = make("th", { scope: "row" }, make("span", { class: "method-name" }, model.label), make("span", { class: "note" }, note));
    return make("tr", {}, label, ...cells);
  });
  $(".pins").replaceChildren(
    make("h3", {}, "Pinned pixels"),
    make(
      "div",
      { class: "pins-scroll", role: "region", tabindex: 0, "aria-label": "Pinned pixels, side by side" },
      make("table", {}, make("thead", {}, make("tr", {}, make("td", {}), ...head)), make("tbody", {}, ...lines)),
    ),
  );
}

function pickPlace({ y, x }) {
  state.picked = { y, x };
  centrePick(0, 0);
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
  const before = state.enlarged.map;
  state.enlarged = { row: row.key, map: row.maps.indexOf(map) };
  if (state.rows.includes(row)) {
    showEnlarged();
    if (before !== state.enlarged.map) showPins();
  } else showLarge(row, map); // of a pinned pixel
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
  showLarge(row, map);
}

function showLarge(row, map) {
  const picture = mapPicture(row, map);
  $(".look-model").value = row.model.name; // what is shown is what is saved, until another is chosen
  const { digits, note } = QUANTITIES[state.quantity];
  const mark = markPlace(row);
  map.weights.forEach((line, i) =>
    line.forEach((weight, j) => {
      if (weight === null) return;
      const [down, across] = [mark.cy - (i + 0.5), mark.cx - (j + 0.5)];
      const hidden = Math.abs(down) < 0.25 && Math.abs(across) < 0.45;
      const text = svg("text", {
        x: j + 0.5,
        y: i + (hidden ? (down < 0 ? 0.84 : 0.32) : 0.58), // out from under the mark
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
function lookRows(model, look, at) {
  if (look.answer.kind === "ensemble") return ensembleRows(model, look, at);
  const { stages } = look.answer;
  return stages.map((stage, index) => {
    return {
      key: `${model.name} ${index}`,
      model,
      rgb: index === stages.length - 1 ? look.answer.rgb : null,
      note: stages.length > 1 ? `stage ${index + 1} of ${stages.length}` : "one stage",
      detail: `${stage.grid[1]} × ${stage.grid[0]} grid`,
      stage,
      at,
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
function ensembleRows(model, look, picked) {
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
    at: picked,
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
    const what = make("span", { class: "note" }, "the same four, in numbers");
    const lines = numbers.map((line) => make("span", {}, ...line.map((weight) => make("b", {}, weight.toFixed(3)))));
    cells.push(make("td", { colspan: Math.max(1, heads) }, make("div", { class: "four" }, ...lines), what));
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

// Where the pixel itself lies on its map, in squares.
function markPlace({ at, area, stage }) {
  const n = stage.latents.length;
  return { cy: ((at.y - area.y) / area.height) * n, cx: ((at.x - area.x) / area.width) * n };
}

const positionMark = (row) =>
  ["dark", "light"].map((tone) => svg("circle", { class: `position ${tone}`, r: 0.22, ...markPlace(row) }));

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

// Arrows walk the pixel; the viewer's other keys work here as well, but for Enter, which presses buttons.
function inspectorKey(event) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!state.picked || event.target.matches("input, select")) return;
  if (!steps) return event.key === "Enter" ? undefined : viewerKey(event);
  event.preventDefault();
  const stride = event.shiftKey ? 8 : 1;
  centrePick(steps[0] * stride, steps[1] * stride);
}

function buildInspector() {
  const stops = VIRIDIS.map((colour) => `rgb(${colour.join(" ")})`).join(", ");
  root.style.setProperty("--viridis", `linear-gradient(to right, ${stops})`);
  const bar = make("i", { class: "bar" });
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
  $(".look-save").addEventListener("click", saveLook);
  $(".unpick").addEventListener("click", unpick);
  $(".pin-toggle").addEventListener("click", pin);
  $(".inspector").addEventListener("keydown", inspectorKey);
  $(".inspector").addEventListener("scroll", hintMore, true); // of the tables inside: that does not bubble
  new ResizeObserver(hintMore).observe($(".inspector"));
}

// The picked pixel's maps as a file: the server draws the same figure that the command line does.
async function saveLook() {
  const { row, column, size } = pickedPixel();
  const [model, suffix] = [$(".look-model").value, $(".look-suffix").value];
  $(".look-save").disabled = true;
  const question = { model, suffix, ...sizeAsked(shownScale(), size), chain: state.chain, pixel: [row, column] };
  const answer = await ask("look_file", question);
  $(".look-save").disabled = false;
  if (!answer.file) return answer.error && complain(answer.error);
  const bytes = Uint8Array.from(atob(answer.file), (character) => character.charCodeAt(0));
  const link = make("a", { href: URL.createObjectURL(new Blob([bytes])), download: answer.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
