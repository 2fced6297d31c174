// @ts-check
// The pixel under the pointer, and what it looked at. The newest wish is asked next, never a line of them, and an answer
// about an older pixel is not shown after one about a newer.

import { isInside, middleOf, screenToLr } from "./geometry.js";
import { isHeld } from "./passes.js";
import { askLooks, missingLooks } from "./pixel.js";
import { changed, state, subscribe } from "./store.js";

/** @import { Place } from "./store.js" */

const MOST_ASKED = 2; // questions on their way: the next one need not wait for the way back of the last

/** @type {Place | null} where the pointer is, in screen pixels of any pane */
let pointer = null;
let asked = 0; // number of the newest question
let shown = 0; // number of the newest answer shown
let waiting = 0;
let newest = ""; // what the newest question was about

/** Where the pointer is now; null where it is over neither panes nor maps. @param {Place | null} at */
export function point(at) {
  pointer = at;
  if (at) follow();
  else forget();
}

/** Show nothing, and nothing of what is still being asked. */
function forget() {
  shown = asked;
  newest = "";
  if (!state.live) return;
  state.live = null;
  changed("live");
}

/** Ask about the pixel under the pointer, unless one is held. Where the pointer lies over maps, the last one stays. */
async function follow() {
  if (state.picked) return forget();
  if (isHeld() || !state.rested || waiting === MOST_ASKED) return;
  const place = pointer ? screenToLr(pointer.y, pointer.x) : state.live;
  if (!place) return;
  if (!isInside(place)) return forget();
  const { picture } = state;
  const wish = missingLooks({ ...place, looks: new Map() });
  const about = JSON.stringify([picture.id, wish]);
  if (!wish.models.length || about === newest) return;
  newest = about;
  asked += 1;
  const number = asked;
  waiting += 1;
  const looks = await askLooks(wish);
  waiting -= 1;
  if (looks instanceof Map && picture === state.picture && number > shown) {
    shown = number;
    state.live = { ...middleOf(wish), looks };
    changed("live");
  }
  follow();
}

export function buildLive() {
  subscribe(["picture"], forget);
  subscribe(["rest", "picture", "opening", "panes", "chain", "pixel", "maps"], follow);
}
