// @ts-check
// The page that draws every model of a site on the visitor's own graphics processor, and times it.

import { copyText } from "./copying.js";
import { $, make, mount } from "./dom.js";
import { fetchRaster } from "./decoding.js";
import { openNetworks } from "./gpu_networks.js";
import { fetchJson, siteUrl } from "./site_files.js";
import { asText, cellsOf, COLUMNS, nameAdapter, SCALES, timeView } from "./speed.js";
import { followSystem } from "./theme.js";

/** @type {string[][]} */
let rows = [];

function showRows() {
  const head = make("thead", {}, make("tr", {}, ...COLUMNS.map((each) => make("th", { scope: "col" }, each))));
  const lines = rows.map(([name, ...numbers]) => make("tr", {}, make("th", { scope: "row" }, name), ...numbers.map((each) => make("td", {}, each))));
  $("table").replaceChildren(head, make("tbody", {}, ...lines));
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
    const side = Number($(".window").value);
    try {
      for (const { name, label } of models.filter((each) => each.decoder)) {
        for (const scale of SCALES) {
          $(".progress").textContent = `${label} at ×${scale}…`;
          rows.push(cellsOf(label, await timeView(opened.networks, raster, name, scale, { height: side, width: side })));
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
    $(".progress").textContent = await copyText(asText($(".adapter").textContent, rows), $("table"));
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
