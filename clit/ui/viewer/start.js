// @ts-check
// The viewer: panes that show one continuous picture through the same view, and what a picked pixel looked at.
//
// gradio gives a component its `element`, `make`, `props` and `watch`. Modules import only such as
// stand above them in this list:
//   dom, numbers, alpha, store                 the page's nodes; numbers; colours with a fourth one; all that changes, and who is told
//   server, bitmaps, engine, server_engine, notice  questions; what answers for pictures; one sentence for a person
//   gpu/gpu_engine, gpu/...                    the visitor's own GPU, in front of the server
//   menus, dock                                what opens over the page, and beside the panes
//   models, geometry, view, panes, decibels    the methods; where things lie; how the view changes; what panes show
//   passes, progress, pixel, live, ahead, places  what panes ask for; the picked pixel, that under the pointer; where methods differ
//   colours, difference, maps, trace_maps, overlay, loupe, drawing  numbers as colours; the maps of a look; what is drawn of it all
//   layout, wipe, blink, input                 the panes on the page; mouse, touch and keyboard
//   map_pictures, inspector, pins, look_files, all_maps, save_numbers  what a pixel looked at
//   traces, traces_panel                       which input pixels it comes from
//   controls, cascade, paint                   scale and size; how CLIT splits it; attention in place of colours
//   pictures, truth, curves, scores            the open picture; its ground truth
//   making, programs, copying, links, visits, address, tour, hook
//   files, save_picture, saved_view, save_page, share, share_figure  what can be sent

import { buildAddress } from "./address.js";
import { buildAhead } from "./ahead.js";
import { buildAllMaps } from "./all_maps.js";
import { buildBlink } from "./blink.js";
import { buildCascade } from "./cascade.js";
import { buildControls } from "./controls.js";
import { buildCopying } from "./copying.js";
import { buildDecibels } from "./decibels.js";
import { mount, root } from "./dom.js";
import { buildDock } from "./dock.js";
import { buildDrawing } from "./drawing.js";
import { useEngine } from "./engine.js";
import { gpuEngine, tryGpu } from "./gpu/gpu_engine.js";
import { readOnlyHook } from "./hook.js";
import { buildInput } from "./input.js";
import { buildInspector } from "./inspector.js";
import { buildLayout } from "./layout.js";
import { buildLive } from "./live.js";
import { buildLoupe } from "./loupe.js";
import { buildMaking } from "./making.js";
import { buildMenus } from "./menus.js";
import { buildNotice } from "./notice.js";
import { buildPaint } from "./paint.js";
import { buildPasses } from "./passes.js";
import { buildPictures } from "./pictures.js";
import { buildPixel } from "./pixel.js";
import { buildPlaces } from "./places.js";
import { buildProgress } from "./progress.js";
import { buildPrograms } from "./programs.js";
import { buildScores } from "./scores.js";
import { connect, serverUrl } from "./server.js";
import { serverEngine } from "./server_engine.js";
import { buildSaveNumbers } from "./save_numbers.js";
import { buildShare } from "./share.js";
import { buildShareFigure } from "./share_figure.js";
import { buildTraces } from "./traces.js";
import { buildTracesPanel } from "./traces_panel.js";
import { buildTour } from "./tour.js";
import { buildTruth } from "./truth.js";
import { buildView } from "./view.js";
import { arrive, buildVisits } from "./visits.js";
import { buildWipe } from "./wipe.js";

/** Start the viewer. @param {any} component what gradio gives a component */
export function start(component) {
  mount(component.element);
  connect();
  useEngine(chooseEngine());
  const asked = location.hash.length > 1; // before the page begins to write its own
  buildMenus(); // first: where things stand
  buildDock();
  buildView(); // who is told first: the others see the view that is wanted now
  buildLayout();
  for (const build of [buildPasses, buildProgress, buildAhead, buildDrawing, buildWipe, buildBlink, buildPixel, buildLive, buildPlaces, buildLoupe, buildInput, buildInspector, buildAllMaps, buildSaveNumbers, buildTraces, buildTracesPanel]) build();
  for (const build of [buildControls, buildCascade, buildPaint, buildPictures, buildTruth, buildScores, buildDecibels]) build();
  buildMaking(component);
  for (const build of [buildPrograms, buildCopying, buildVisits, buildAddress, buildTour, buildShare, buildShareFigure, buildNotice]) build();
  root.__viewer = readOnlyHook;
  arrive(asked);
}

/** The server alone, or the visitor's own GPU in front of it: "?engine=server" and "?engine=gpu" force either. */
function chooseEngine() {
  const asked = new URLSearchParams(location.search).get("engine");
  if (asked === "server" || !("gpu" in navigator)) return serverEngine;
  return gpuEngine(serverEngine, tryGpu(serverUrl("weights/"), asked === "gpu"));
}
