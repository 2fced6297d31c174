// Time every model of a site on this machine's graphics processor, and hold what it draws to Python's values, without a
// browser: the site's own modules run in Node, over Dawn, the WebGPU of Chrome, and Vulkan.
//
//     python -m clit site SITE --models liif-light,lit-light,...
//     python analysis/gpu_adapters.py --expect SITE       what Python draws, into SITE/expected.json
//     npm install --no-save webgpu                        in any folder; run the next line there
//     node .../analysis/gpu_adapters.mjs SITE OUT.csv [speed|agreement] [SECONDS]
//     python analysis/gpu_adapters.py --add OUT.csv       into analysis/gpu_adapters.csv
//
// Adds lines to OUT.csv as they come, see gpu_adapters.py. After SECONDS nothing more is begun.

import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [site, out, only = "", seconds = "3600"] = process.argv.slice(2);
const PANE = { height: 500, width: 700 };
const TINY = { height: 8, width: 8 }; // next to nothing but the encoder's work
const deadline = performance.now() + 1000 * Number(seconds);
const HEAD = "adapter,through,model,measure,scale,window,value\n";

// What a browser has: files by their address, and a graphics processor.
const require = createRequire(path.resolve("package.json"));
const dawn = require.resolve("webgpu");
const { create, globals } = await import(pathToFileURL(dawn).href);
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, "navigator", { value: { gpu: create(["backend=vulkan"]) } });
globalThis.fetch = async (url) => new Response(await readFile(new URL(url)));

const viewer = (name) => import(pathToFileURL(path.resolve(site, "viewer", name)).href);
const { openNetworks } = await viewer("gpu_networks.js");
const { directionColours, entropyColours, entropySpan, selectHead } = await viewer("painting.js");
const { asText, cellsOf, median, nameAdapter, SCALES, timeView } = await viewer("speed.js");

const { models } = JSON.parse(await readFile(path.join(site, "weights", "models.json"), "utf8"));
const expected = JSON.parse(await readFile(path.join(site, "expected.json"), "utf8"));
const opened = await openNetworks(models, true);
if ("why" in opened) {
  console.error("There is no adapter: Dawn finds no driver of Vulkan.");
  process.exit(3);
}
const { networks } = opened;
const adapter = await nameAdapter();
const { version } = JSON.parse(await readFile(path.join(path.dirname(dawn), "package.json"), "utf8"));
const through = `Dawn (webgpu ${version}) in Node ${process.versions.node} and Vulkan`;

const bytesOf = (base64) => new Uint8Array(Buffer.from(base64, "base64")); // a copy: its numbers have to be aligned
const floatsOf = (base64) => new Float32Array(bytesOf(base64).buffer);
const rasterOf = ({ height, width, rgb }) => ({ height, width, rgb: bytesOf(rgb) });
const windowOf = ([top, left, height, width]) => ({ top, left, height, width });
const never = () => false;

/** Whether there is time for more. What is left out is told. */
function isTime(what) {
  const is = performance.now() < deadline;
  if (!is) console.log(`left out, for lack of time: ${what}`);
  return is;
}

function note(model, measure, value, scale = "", window = null) {
  const cells = [`"${adapter}"`, `"${through}"`, model, measure, scale, window ? `${window.width} × ${window.height}` : "", value];
  appendFileSync(out, `${cells.join()}\n`);
}

/** Largest difference, how many differ, and how many there are. */
function compare(found, wanted) {
  if (found.length !== wanted.length) throw new Error(`${found.length} values in place of ${wanted.length}`);
  let [most, differ] = [0, 0];
  for (let i = 0; i < found.length; i += 1) {
    const difference = Math.abs(found[i] - wanted[i]);
    if (!(difference <= most)) most = Number.isNaN(difference) ? Infinity : difference;
    if (difference !== 0) differ += 1;
  }
  return { most, differ, count: found.length };
}

async function timeModels() {
  const raster = rasterOf(expected.example);
  const rows = [];
  for (const { name, label } of models.filter((each) => each.decoder)) {
    for (const scale of SCALES) {
      if (!isTime(`${name} at x${scale}`)) continue;
      const times = await timeView(networks, raster, name, scale, PANE);
      rows.push(cellsOf(label, times));
      console.log(rows.at(-1).join("  "));
      for (const measure of ["first", "again"]) note(name, measure, times[measure].toFixed(2), scale, times.window);
      const smaller = { height: Math.ceil(PANE.height / 4), width: Math.ceil(PANE.width / 4) };
      if (scale < 4 || !isTime(`the preview of ${name} at x${scale}`)) continue;
      const preview = await timeView(networks, raster, name, scale / 4, smaller); // as the page previews: a quarter of the scale
      note(name, "preview", preview.again.toFixed(2), scale, preview.window);
    }
    if (!isTime(`the encoder of ${name}`)) continue;
    const times = [];
    for (let i = 0; i < 3; i += 1) times.push(await timeView(networks, raster, name, 4, TINY));
    note(name, "encoder", median(times.map(({ first, again }) => first - again)).toFixed(2), "", raster);
  }
  console.log(`\n${asText(adapter, rows)}\n`);
}

async function compareViews(raster) {
  for (const { model, scale, colours, bytes, ...wanted } of expected.views) {
    if (!isTime(`the view of ${model} at x${scale}`)) continue;
    const part = { ...wanted, model, size: { height: wanted.size[0], width: wanted.size[1] }, window: windowOf(wanted.window) };
    const values = compare(await networks.colours(raster, part), floatsOf(colours));
    const rounded = compare((await networks.draw(raster, part, never, () => {})).bytes, bytesOf(bytes));
    console.log(`${model} x${scale} ${wanted.chain} stages ${wanted.stages}: ${values.most.toExponential(1)}, bytes ${rounded.differ} of ${rounded.count} by ${rounded.most}`);
    note(model, "colours", values.most, scale, part.window);
    for (const [measure, value] of Object.entries(rounded)) note(model, `bytes ${measure}`, value, scale, part.window);
  }
}

async function compareLooks(raster) {
  for (const { model, scale, size, row, column, stages } of expected.looks) {
    if (!isTime(`a look of ${model}`)) continue;
    const part = { model, stages: null, chain: "published", size: { height: size[0], width: size[1] }, window: windowOf([row, column, 1, 1]) };
    const seen = await networks.inspect(raster, part, row, column);
    if (seen.stages.length !== stages.length) throw new Error(`${model} has ${seen.stages.length} stages`);
    const most = Math.max(...stages.map((stage, j) => compare(seen.stages[j].weights.flat(2), floatsOf(stage)).most));
    console.log(`${model} at ${row}, ${column}: weights ${most.toExponential(1)}`);
    note(model, "weights", most, scale);
  }
}

async function compareHeads(raster) {
  for (const { model, scale, size, window, head, survey, entropy, direction } of expected.heads) {
    if (!isTime(`the heads of ${model}`)) continue;
    const { heads, radius } = models.find((each) => each.name === model).config.decoder;
    const part = { model, stages: null, chain: "published", size: { height: size[0], width: size[1] }, window: windowOf(window) };
    const found = await networks.survey(raster, part, never);
    const values = selectHead(found, head, heads);
    const most = compare(found, floatsOf(survey)).most;
    const paints = [[entropyColours(values, entropySpan(values)), entropy], [directionColours(values, radius), direction]];
    const painted = paints.map(([mine, his]) => compare(mine, bytesOf(his)));
    console.log(`${model}: heads ${most.toExponential(1)}, painted bytes by ${painted.map((each) => each.most)}`);
    note(model, "heads", most, scale, part.window);
    note(model, "painted most", Math.max(...painted.map((each) => each.most)), scale, part.window);
  }
}

console.log(`${adapter}, through ${through}`);
if (!existsSync(out)) writeFileSync(out, HEAD);
if (only !== "agreement") await timeModels();
if (only !== "speed") {
  const raster = rasterOf(expected.picture);
  await compareViews(raster);
  await compareLooks(raster);
  await compareHeads(raster);
}
process.exit(0); // Dawn would keep it
