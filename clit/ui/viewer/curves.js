// @ts-check
// A chart against scale: what methods are above bicubic.

import { $, make, svg, svgText } from "./dom.js";
import { shortLabel } from "./models.js";
import { state } from "./store.js";

const COLOURS = ["#8a929c", "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00"]; // Okabe and Ito

/**
 * Draw what methods are above bicubic in decibels, against scale, once there are two scales to join.
 * @param {string[]} names of methods @param {number[]} ticks scales that may be written below the chart @param {number} shown the scale that is open
 */
export function drawCurves(names, ticks, shown) {
  const base = state.scores.get("bicubic");
  const methods = names.map((name, index) => ({
    label: shortLabel(state.models.get(name)),
    colour: COLOURS[index % COLOURS.length],
    points: [...(name === "bicubic" ? [] : (state.scores.get(name) ?? []))]
      .filter(([scale, each]) => each.psnr && base?.get(scale)?.psnr)
      .sort(([a], [b]) => a - b)
      .map(([scale, each]) => ({ scale, gain: each.psnr - base.get(scale).psnr })),
  }));
  const lines = methods.filter(({ points }) => points.length > 1);
  $(".curve").hidden = !lines.length;
  if (!lines.length) return;
  const legend = lines.map(({ label, colour }) => make("span", {}, make("i", { style: `background: ${colour}` }), label));
  $(".curve").replaceChildren(make("div", { class: "curve-legend" }, ...legend), chart(lines, ticks, shown));
}

function chart(lines, ticks, shown) {
  const [width, height, left, bottom, top] = [340, 190, 36, 26, 24];
  const all = lines.flatMap(({ points }) => points);
  const values = [0, ...all.map(({ gain }) => gain)];
  const scales = [...new Set(all.map(({ scale }) => scale))].sort((a, b) => a - b);
  const spread = Math.max(...values) - Math.min(...values) || 1;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10].find((each) => spread / each <= 6) ?? 20;
  const low = Math.floor(Math.min(...values) / step) * step;
  const high = Math.max(Math.ceil(Math.max(...values) / step) * step, low + step);
  const x = (scale) => left + ((width - left - 10) * Math.log(scale / scales[0])) / Math.log(scales.at(-1) / scales[0]);
  const y = (value) => top + ((height - bottom - top) * (high - value)) / (high - low);
  const title = "Decibels over bicubic, against scale";
  const grid = [svgText(title, { x: left, y: 12, class: "name" })];
  if (shown >= scales[0] && shown <= scales.at(-1)) {
    grid.push(svg("line", { x1: x(shown), x2: x(shown), y1: top, y2: height - bottom, class: "shown" }));
  }
  for (let value = low; value < high + step / 2; value += step) {
    grid.push(svg("line", { x1: left, x2: width - 10, y1: y(value), y2: y(value), class: "grid" }));
    grid.push(svgText(value.toFixed(step < 1 ? 1 : 0).replace(/^-0[.]0$/, "0.0"), { x: left - 6, y: y(value) + 4, "text-anchor": "end" }));
  }
  let free = -Infinity; // labels keep clear of each other
  for (const scale of scales.filter((each) => ticks.includes(each))) {
    if (x(scale) < free) continue;
    free = x(scale) + 26;
    grid.push(svgText(`×${scale}`, { x: x(scale), y: height - 8, "text-anchor": "middle" }));
  }
  const drawn = lines.map((line) => curve(line, x, y));
  const name = `${title}: ${lines.map(({ label }) => label).join(", ")}`;
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name }, ...grid, ...drawn);
}

function curve({ label, colour, points }, x, y) {
  const dots = points.map((each) => {
    const told = svg("title");
    told.textContent = `${label} ×${each.scale}: ${each.gain.toFixed(2)} dB`;
    return svg("circle", { cx: x(each.scale), cy: y(each.gain), r: 3, class: "dot" }, told);
  });
  const line = points.map((each) => `${x(each.scale)},${y(each.gain)}`).join(" ");
  return svg("g", { style: `--line-colour: ${colour}` }, svg("polyline", { points: line, class: "line" }), ...dots);
}
