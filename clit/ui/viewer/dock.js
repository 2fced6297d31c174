// @ts-check
// The dock beside the panes, on phones a sheet below them: its tabs, and how far it is open.

import { $, $$ } from "./dom.js";
import { changed, state, subscribe } from "./store.js";

/** Open a tab. @param {"attention" | "traces" | "scores" | "make"} tab */
export function showTab(tab) {
  Object.assign(state.dock, { tab, sheet: "half" });
  changed("dock");
}

/** Leave the picture all the room that phones have. */
export function foldSheet() {
  state.dock.sheet = "peek";
  changed("dock");
}

function showDock() {
  const { tab, open, sheet } = state.dock;
  const dock = $(".dock");
  dock.dataset.open = open ? "yes" : "no";
  dock.dataset.sheet = sheet;
  for (const each of $$("[role=tab]")) {
    const chosen = each.dataset.tab === tab;
    each.setAttribute("aria-selected", String(chosen));
    each.tabIndex = chosen ? 0 : -1;
    $(`#${each.getAttribute("aria-controls")}`).hidden = !chosen;
  }
  const fold = $(".fold");
  fold.setAttribute("aria-expanded", String(open));
  for (const name of ["aria-label", "title"]) fold.setAttribute(name, open ? "Fold the dock" : "Unfold the dock");
  const grip = $(".grip");
  grip.setAttribute("aria-expanded", String(sheet === "half"));
  grip.setAttribute("aria-label", sheet === "half" ? "Close the sheet" : "Open the sheet");
  $(".grip span").textContent = state.picked ? "What this pixel looked at" : "Tap a pixel to see what it looked at";
}

function tabKey(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const tabs = $$("[role=tab]");
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  showTab(next.dataset.tab);
  next.focus();
}

export function buildDock() {
  for (const tab of $$("[role=tab]")) {
    tab.addEventListener("click", () => showTab(tab.dataset.tab));
    tab.addEventListener("keydown", tabKey);
  }
  $(".fold").addEventListener("click", () => {
    state.dock.open = !state.dock.open;
    changed("dock");
  });
  $(".grip").addEventListener("click", () => {
    state.dock.sheet = state.dock.sheet === "half" ? "peek" : "half";
    changed("dock");
  });
  subscribe(["dock", "pixel"], showDock);
  showDock();
}
