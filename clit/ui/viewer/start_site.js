// @ts-check
// The page as a site of files: the same modules as the live page's, but for those that need a server. The visitor's own GPU
// draws; where there is none, ready-made pictures are shown.

import { buildAddress } from "./address.js";
import { buildAhead } from "./ahead.js";
import { buildAllMaps } from "./all_maps.js";
import { buildBlink } from "./blink.js";
import { buildCascade } from "./cascade.js";
import { buildControls } from "./controls.js";
import { buildCopying } from "./copying.js";
import { buildDecibels } from "./decibels.js";
import { $, $$, mount, root } from "./dom.js";
import { buildDock } from "./dock.js";
import { buildDrawing } from "./drawing.js";
import { useEngine } from "./engine.js";
import { openNetworks } from "./gpu_networks.js";
import { readOnlyHook } from "./hook.js";
import { buildInput } from "./input.js";
import { buildInspector } from "./inspector.js";
import { buildLayout } from "./layout.js";
import { buildLive } from "./live.js";
import { buildLoupe } from "./loupe.js";
import { buildMenus } from "./menus.js";
import { buildNotice, complain } from "./notice.js";
import { buildPaint } from "./paint.js";
import { buildPasses } from "./passes.js";
import { buildPictures, showCaption } from "./pictures.js";
import { buildPixel } from "./pixel.js";
import { buildPlaces } from "./places.js";
import { buildProgress } from "./progress.js";
import { showReadyMade } from "./ready_made.js";
import { buildScores } from "./scores.js";
import { buildShare } from "./share.js";
import { siteEngine } from "./site_engine.js";
import { fetchJson } from "./site_files.js";
import { state } from "./store.js";
import { followSystem } from "./theme.js";
import { buildTour } from "./tour.js";
import { buildTruth } from "./truth.js";
import { buildView } from "./view.js";
import { arrive, buildVisits } from "./visits.js";
import { buildWipe } from "./wipe.js";

const LEFT_OUT = [
  ...[".share-figure", ".save-look", ".program", ".duplicate"],
  ...["#clit-traces", "#clit-make", "#clit-tab-traces", "#clit-tab-make"],
];
const FIRST_METHODS = ["bicubic", "liif-light", "lit-light", "input"]; // a first view that fetches few weights
const PRIVACY = "Pictures that you open stay in this browser: they are sent nowhere.";

async function start() {
  mount(document.body);
  followSystem();
  for (const each of $$(LEFT_OUT.join())) each.remove();
  $("#clit-privacy").textContent = PRIVACY;
  $(".upload-input").accept = "image/*";
  buildNotice(); // first: the site's files may not arrive
  const asked = location.hash.length > 1;
  const [site, { models }] = await Promise.all([fetchJson("site.json"), fetchJson("weights/models.json")]);
  const isForced = new URLSearchParams(location.search).get("engine") === "gpu"; // by one made of software, too
  const opened = await openNetworks(models, isForced);
  if ("why" in opened) return showReadyMade(opened.why, { ...site, models });
  useEngine(siteEngine({ ...site, models, networks: opened.networks }));
  for (const build of [buildMenus, buildDock, buildView, buildLayout, buildPasses, buildProgress, buildAhead, buildDrawing, buildWipe, buildBlink]) build();
  for (const build of [buildPixel, buildLive, buildPlaces, buildLoupe, buildInput, buildInspector, buildAllMaps]) build();
  $(".asks [value=influence]").remove(); // that needs the whole network
  for (const build of [buildControls, buildCascade, buildPaint, buildPictures, buildTruth, buildScores, buildDecibels]) build();
  for (const build of [buildCopying, buildVisits, buildAddress, buildTour, buildShare]) build();
  state.panes.forEach((pane, index) => Object.assign(pane, { model: FIRST_METHODS[index], method: FIRST_METHODS[index] }));
  root.__viewer = readOnlyHook;
  await arrive(asked);
}

start().catch((error) => {
  console.warn(error);
  showCaption("");
  complain("The files of this page do not arrive: check the connection, then load the page again.");
});
