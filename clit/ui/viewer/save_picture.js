// @ts-check
// The picture of a view: its panes as they stand, what the held pixel looked at, whose picture and whose methods, the link.

import { encodePng } from "./bitmaps.js";
import { scoreOf } from "./decibels.js";
import { gainRange } from "./difference.js";
import { $, make, root } from "./dom.js";
import { nameOfView, saveFile } from "./files.js";
import { pickedPixel, shownScale } from "./geometry.js";
import { shownRows } from "./inspector.js";
import { linkOfView } from "./links.js";
import { mapPicture } from "./map_pictures.js";
import { QUANTITIES, chosenMap, isFixed } from "./maps.js";
import { modelOf, shortLabel } from "./models.js";
import { times } from "./numbers.js";
import { shownPanes, sources } from "./panes.js";
import { describeView } from "./pictures.js";
import { state } from "./store.js";

/** @import { Row } from "./maps.js" */
/** @import { Pane } from "./panes.js" */

const SHARP = 2; // pixels of the file for each of the screen
const [INK, SOFT, PAPER, CHIP, BEST] = ["#16191d", "#565d66", "#ffffff", "rgb(17 20 24 / 0.82)", "#fde725"];
const [MARGIN, GAP, MAP, LINE] = [16, 10, 84, 18];
const CLIT = "LIT and CLIT: Chen et al., Cascaded Local Implicit Transformer for Arbitrary-Scale Super-Resolution, CVPR 2023.";
const CITATIONS = { LIT: CLIT, CLIT, LIIF: "LIIF: Chen et al., CVPR 2021.", LTE: "LTE: Lee and Jin, CVPR 2022." };
const STYLES = [
  ...["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "shape-rendering", "r"],
  ...["font-size", "font-weight", "font-family", "text-anchor", "paint-order"],
];

/** @typedef {{text: string, bold?: boolean, tone?: string}} Words */

/** Save the picture of the present view. */
export async function savePicture() {
  const panes = state.blink === null ? shownPanes() : [shownPanes()[state.blink]];
  const frame = $(".panes").getBoundingClientRect();
  const boxes = panes.map((pane) => pane.stage.getBoundingClientRect());
  const width = Math.ceil(Math.max(...boxes.map((box) => box.right)) - frame.left);
  const top = Math.ceil(Math.max(...boxes.map((box) => box.bottom)) - frame.top);
  const canvas = make("canvas");
  const context = canvas.getContext("2d");
  const maps = heldMaps();
  const above = maps.length ? fitLines(context, [{ text: aboutMaps(), bold: true }], width) : [];
  const below = fitLines(context, aboutView(), width);
  const perRow = Math.max(1, Math.floor((width - 2 * MARGIN + GAP) / (MAP + GAP)));
  const mapsTop = top + MARGIN + LINE * above.length + 4;
  const belowTop = mapsTop + Math.ceil(maps.length / perRow) * (MAP + LINE + GAP);
  Object.assign(canvas, { width: SHARP * width, height: SHARP * (belowTop + LINE * below.length + MARGIN) });
  context.scale(SHARP, SHARP);
  context.fillStyle = PAPER;
  context.fillRect(0, 0, canvas.width, canvas.height);
  for (const [index, pane] of panes.entries()) {
    await drawPane(context, pane, index, boxes[index].left - frame.left, boxes[index].top - frame.top);
  }
  above.forEach((line, index) => write(context, line, MARGIN, top + MARGIN + LINE * index));
  await drawMaps(context, maps, perRow, mapsTop);
  below.forEach((line, index) => write(context, line, MARGIN, belowTop + LINE * index));
  saveFile(await encodePng(canvas), `${nameOfView()}.png`);
}

/** @param {CanvasRenderingContext2D} context @param {Pane} pane @param {number} index @param {number} x @param {number} y */
async function drawPane(context, pane, index, x, y) {
  const { height, width } = state.pane;
  const from = state.wipe !== null && index === 1 ? state.wipe * width : 0; // the second pane lies over the first
  context.save();
  context.beginPath();
  context.rect(x + from, y, width - from, height);
  context.clip();
  context.imageSmoothingEnabled = false;
  context.fillStyle = "#e9ebee";
  context.fillRect(x, y, width, height);
  context.drawImage(pane.canvas, x, y, width, height);
  context.drawImage(await drawnSvg(pane.overlay, width, height), x, y, width, height);
  context.restore();
  if (from) {
    context.fillStyle = "#ffffff";
    context.fillRect(x + from - 1, y, 2, height);
  }
  const score = scoreOf(pane);
  /** @type {Words[]} */
  const words = [{ text: pane.name.textContent, bold: true }, { text: times(shownScale()) }];
  if (modelOf(pane.model)?.parts) words.push({ text: `blue to orange: ${gainRange()}` });
  if (score) words.push({ text: score.text, bold: true, tone: score.best ? BEST : "#ffffff" });
  drawChip(context, words, x + from + 8, y + 8);
}

/** @param {CanvasRenderingContext2D} context @param {Words[]} words @param {number} x @param {number} y */
function drawChip(context, words, x, y) {
  const widths = words.map((each) => measure(context, each));
  const width = widths.reduce((sum, each) => sum + each + 8, 12);
  context.fillStyle = CHIP;
  context.beginPath();
  context.roundRect(x, y, width, 28, 5);
  context.fill();
  let at = x + 10;
  words.forEach((each, index) => {
    write(context, { tone: index ? "#c9ced6" : "#ffffff", ...each }, at, y + 6);
    at += widths[index] + 8;
  });
}

/** The maps of the held pixel: the mean of every method and stage, then the heads of the chosen one. @returns {{row: Row, map: any, name: string}[]} */
function heldMaps() {
  const rows = state.picked ? shownRows() : [];
  if (!rows.length) return [];
  const { row: chosen } = chosenMap(rows);
  const nameOf = ({ model, note }) => `${shortLabel(model)}${/^stage (\d+)/.exec(note)?.[1].replace(/^/, " ") ?? ""}`;
  const heads = chosen.maps.slice(1).map((map) => ({ row: chosen, map, name: `${nameOf(chosen)} ${map.name}` }));
  return [...rows.map((row) => ({ row, map: row.maps[0], name: nameOf(row) })), ...heads];
}

function aboutMaps() {
  const { row, column } = pickedPixel();
  const { label, ticks } = QUANTITIES[state.quantity];
  const colours = isFixed() ? `dark ${ticks[0][1]} to bright ${ticks.at(-1)[1]}, by the square root` : "each map has its own scale";
  return `What row ${row}, column ${column} looked at: ${label.toLowerCase()}; ${colours}`;
}

/** @param {CanvasRenderingContext2D} context @param {ReturnType<typeof heldMaps>} maps @param {number} perRow @param {number} top */
async function drawMaps(context, maps, perRow, top) {
  const strip = make("div", { class: "strip definitions", style: `--unused: #eceef1; --soft: ${SOFT}` });
  root.append(strip); // styles are those of the page, in the light
  for (const [index, { row, map, name }] of maps.entries()) {
    const x = MARGIN + (index % perRow) * (MAP + GAP);
    const y = top + Math.floor(index / perRow) * (MAP + LINE + GAP);
    const picture = mapPicture(row, map);
    strip.append(picture);
    write(context, { text: name, tone: SOFT }, x, y);
    context.drawImage(await drawnSvg(picture, MAP, MAP), x, y + LINE, MAP, MAP);
  }
  strip.remove();
}

/** What the picture shows, whose methods they are, and where it came from. */
function aboutView() {
  /** @type {Words[]} */
  const told = [{ text: describeView(), bold: true }, { text: citation(), tone: SOFT }];
  if (state.picture.example) told.push({ text: linkOfView(), tone: SOFT });
  return told;
}

/** Words in lines that a picture of a width holds. @param {CanvasRenderingContext2D} context @param {Words[]} words @param {number} width @returns {Words[]} */
const fitLines = (context, words, width) =>
  words.flatMap(({ text, ...look }) => breakText(context, text, look, width - 2 * MARGIN).map((line) => ({ text: line, ...look })));

/** Where the methods shown were published. */
function citation() {
  const families = sources().map(({ model }) => modelOf(model)?.family);
  return [...new Set(families.map((family) => CITATIONS[family]).filter(Boolean))].join(" ");
}

/** @param {CanvasRenderingContext2D} context @param {string} text @param {object} look @param {number} width @returns {string[]} */
function breakText(context, text, look, width) {
  const lines = [""];
  for (const part of text.split(/(?<=[ &,/])/)) {
    if (lines.at(-1) && measure(context, { text: lines.at(-1) + part, ...look }) > width) lines.push("");
    lines[lines.length - 1] += part;
  }
  return lines;
}

/** @param {CanvasRenderingContext2D} context @param {Words} words */
function measure(context, { text, bold }) {
  context.font = `${bold ? 650 : 400} 12.5px ${getComputedStyle(root).fontFamily}`;
  return context.measureText(text).width;
}

/** @param {CanvasRenderingContext2D} context @param {Words} words @param {number} x @param {number} y their upper edge */
function write(context, words, x, y) {
  measure(context, words);
  context.textBaseline = "top";
  context.fillStyle = words.tone ?? INK;
  context.fillText(words.text, x, y + 2);
}

/** An SVG element of the page as a picture: with its styles, as it has none of its own there. @param {any} element @param {number} width @param {number} height */
async function drawnSvg(element, width, height) {
  const copy = styledCopy(element);
  copy.append(styledCopy($(".definitions defs")));
  const box = element.getAttribute("viewBox") ?? `0 0 ${width} ${height}`;
  const size = { xmlns: "http://www.w3.org/2000/svg", viewBox: box, width: SHARP * width, height: SHARP * height };
  for (const [key, value] of Object.entries(size)) copy.setAttribute(key, String(value));
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}

/** @param {any} element */
function styledCopy(element) {
  const copy = element.cloneNode(true);
  const originals = [element, ...element.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((each, index) => {
    const style = getComputedStyle(originals[index]);
    each.setAttribute("style", STYLES.map((name) => `${name}: ${style.getPropertyValue(name)}`).join("; "));
  });
  return copy;
}
