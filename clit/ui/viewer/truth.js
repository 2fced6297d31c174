// Ground truth: the picture made smaller, and every method measured against what it was

// The place stays where it is, the picked pixel too; going back without having moved, all is as it was.
async function toggleTruth() {
  if (!state.picture || state.opening) return;
  const { picture, picked, view, whole } = state;
  const before = { ...view };
  await openPicture("open_truth", { scale: picture.truth ? null : shownScale() }, picture.example);
  if (state.picture === picture) return; // there is a sentence that says why
  const times = picture.truth ?? 1 / state.picture.truth;
  const back = picture.truth && whole;
  if (back) changeView({ magnification: whole.view.magnification });
  const stayed = back && before.y === whole.at.y && before.x === whole.at.x;
  const size = outputSize(shownScale());
  for (const [axis, side] of [["y", "height"], ["x", "width"]]) {
    if (stayed) changeView({ [axis]: whole.view[axis] });
    else if (size[side] * view.magnification > state.pane[side]) changeView({ [axis]: before[axis] * times });
  }
  state.whole = picture.truth ? null : { view: before, at: { ...view }, picked };
  if (!picked) return;
  state.picked = back && picked === whole.pickedAt ? whole.picked : { y: picked.y * times, x: picked.x * times };
  centrePick(0, 0);
  if (state.whole) state.whole.pickedAt = state.picked;
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
  $(".error-told").hidden = !shownPanes().some((pane) => modelOf(pane.model)?.error);
  $(".few-told").hidden = Math.min(picture.height, picture.width) >= FEW_PIXELS;
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
