// @ts-check
// A saved page: the panes of one view, and what any of its pixels looked at. The same modules as the live page's, but for
// those that need a server; where they stand in each other's order `start.js` says.

import { buildAllMaps } from "./all_maps.js";
import { drawWheel } from "./colours.js";
import { $, mount, root } from "./dom.js";
import { buildBlink } from "./blink.js";
import { buildDock } from "./dock.js";
import { buildDecibels } from "./decibels.js";
import { buildDrawing } from "./drawing.js";
import { useEngine } from "./engine.js";
import { readOnlyHook } from "./hook.js";
import { buildInput } from "./input.js";
import { buildInspector } from "./inspector.js";
import { buildLayout } from "./layout.js";
import { buildLive } from "./live.js";
import { buildLoupe } from "./loupe.js";
import { buildNotice } from "./notice.js";
import { buildPixel } from "./pixel.js";
import { savedEngine } from "./saved_engine.js";
import { restoreView } from "./saved_view.js";
import { followSystem } from "./theme.js";
import { buildView } from "./view.js";
import { buildWipe } from "./wipe.js";

/** @param {any} saved what `saveView` returned */
export async function startSaved(saved) {
  mount(document.body);
  followSystem();
  useEngine(savedEngine(saved));
  for (const build of [buildDock, buildView, buildLayout, buildDrawing, buildWipe, buildBlink, buildPixel, buildLive, buildLoupe, buildInput]) build();
  for (const build of [buildInspector, buildAllMaps, buildDecibels, buildNotice]) build();
  $(".asks [value=influence]").remove(); // that needs the whole network
  drawWheel($(".paint-wheel"));
  await restoreView(saved);
  root.__viewer = readOnlyHook;
  root.dataset.ready = "yes";
}
