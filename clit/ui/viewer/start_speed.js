// @ts-check
// The page that draws every model of a site on the visitor's own graphics processor, and times it.

import { $, make, mount } from "./dom.js";
import { fetchRaster } from "./decoding.js";
import { openNetworks } from "./gpu_networks.js";
import { roundHalfEven } from "./numbers.js";
import { fetchJson, siteUrl } from "./site_files.js";
import { followSystem } from "./theme.js";

const SCALES = [2, 4, 12, 30];
const AGAIN = 5; // times after the first, at most
const MOST_MS = 2000; // after which one more is enough
const COLUMNS = ["Model", "Scale", "Window", "First, ms", "Again, ms"];

/** @type {string[][]} */
let rows = [];

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** What the adapter calls itself. @returns {Promise<string>} */
async function nameAdapter() {
  const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter({ powerPreference: "high-performance" });
  const { vendor, architecture, device, description } = adapter?.info ?? {};
  const told = [vendor, architecture, device, description].filter(Boolean).join(" ");
  return (told || "an adapter without a name") + (adapter?.info?.isFallbackAdapter ? ", which is software" : "");
}

/** Time one model at one scale. @param {any} networks @param {any} raster @param {string} model @param {number} scale @param {number} side */
async function time(networks, raster, model, scale, side) {
  const size = { height: roundHalfEven(raster.height * scale), width: roundHalfEven(raster.width * scale) };
  const [height, width] = [Math.min(side, size.height), Math.min(side, size.width)];
  const window = { top: (size.height - height) >> 1, left: (size.width - width) >> 1, height, width };
  const times = [];
  for (const start = performance.now(); times.length < 2 || (times.length <= AGAIN && performance.now() - start < MOST_MS); ) {
    const began = performance.now();
    await networks.draw(raster, { model, stages: null, chain: "published", size, window }, () => false, () => {});
    times.push(performance.now() - began);
  }
  return [`×${scale}`, `${width} × ${height}`, times[0].toFixed(1), median(times.slice(1)).toFixed(1)];
}

function showRows() {
  const head = make("thead", {}, make("tr", {}, ...COLUMNS.map((each) => make("th", { scope: "col" }, each))));
  const lines = rows.map(([name, ...numbers]) => make("tr", {}, make("th", { scope: "row" }, name), ...numbers.map((each) => make("td", {}, each))));
  $("table").replaceChildren(head, make("tbody", {}, ...lines));
}

/** The table as text: with its adapter, in Markdown. */
function asText() {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [$(".adapter").textContent, "", line(COLUMNS), line(COLUMNS.map(() => "---")), ...rows.map(line)].join("\n");
}

async function start() {
  mount(document.body);
  followSystem();
  const [{ examples }, { models }] = await Promise.all([fetchJson("site.json"), fetchJson("weights/models.json")]);
  const opened = await openNetworks(models, true);
  if ("why" in opened) return explain("This browser offers no graphics processor by WebGPU here: there is nothing to time.");
  $(".adapter").textContent = await nameAdapter();
  const raster = await fetchRaster(siteUrl(examples[0].file));
  $(".begin").disabled = false;
  $(".begin").addEventListener("click", async () => {
    $(".begin").disabled = true;
    rows = [];
    try {
      for (const { name, label, decoder } of models.filter((each) => each.decoder)) {
        for (const scale of decoder ? SCALES : []) {
          $(".progress").textContent = `${label} at ×${scale}…`;
          rows.push([label, ...(await time(opened.networks, raster, name, scale, Number($(".window").value)))]);
          showRows();
        }
      }
      $(".progress").textContent = "Done.";
    } catch (error) {
      console.warn(error);
      $(".progress").textContent = "Your graphics processor stopped: load the page again, or choose a smaller window.";
    }
    $(".begin").disabled = false;
    $(".copy").disabled = !rows.length;
  });
  $(".copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(asText());
    $(".progress").textContent = "The table is copied.";
  });
}

/** Say in one sentence why nothing is timed. @param {string} why */
function explain(why) {
  $(".adapter").parentElement.textContent = why;
  $(".speed-choices").remove();
}

start().catch((error) => {
  console.warn(error);
  explain("The files of this page do not arrive: check the connection, then load the page again.");
});
