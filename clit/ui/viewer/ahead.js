// @ts-check
// While the view rests, the whole picture is drawn once with each method shown, at a small scale: from then on a view of
// any part can be previewed at once. Other questions come first.

import { engine } from "./engine.js";
import { modelOf } from "./models.js";
import { roundHalfEven } from "./numbers.js";
import { isPainted, sources } from "./panes.js";
import { isHeld } from "./passes.js";
import { changed, state, subscribe } from "./store.js";

const AHEAD_SCALE = 2; // at up to this scale, if that has no more pixels than
const AHEAD_PIXELS = 160_000; // this: a preview of all views up to four times as large
const AHEAD_MS = 250; // after this long a rest
const AHEAD_AGAIN_MS = 2000; // about, where the server had others to answer

let timer = 0;

function aheadScale() {
  const { height, width } = state.picture;
  const scale = Math.min(AHEAD_SCALE, Math.floor(100 * Math.sqrt(AHEAD_PIXELS / (height * width))) / 100);
  return scale < 1 ? null : scale;
}

/** The source whose method is to be drawn next. */
export function nextAhead() {
  if (isHeld() || aheadScale() === null) return undefined;
  return sources().find((pane) => {
    const model = modelOf(pane.model);
    const isNetwork = model?.available && model.kind !== "plain" && !model.error;
    return isNetwork && !state.ahead.has(pane.model) && !isPainted(pane);
  });
}

function waitToDrawAhead(milliseconds = AHEAD_MS) {
  clearTimeout(timer);
  if (nextAhead()) timer = setTimeout(drawAhead, milliseconds);
}

async function drawAhead() {
  if (state.drawingAhead) return;
  const name = nextAhead()?.model;
  if (!name) return;
  const busy = sources().some((pane) => pane.request) || performance.now() - state.changedAt < AHEAD_MS;
  if (busy) return waitToDrawAhead();
  const { picture, chain, wanted } = state;
  const { of, stop } = modelOf(name);
  const scale = aheadScale();
  const size = { height: roundHalfEven(picture.height * scale), width: roundHalfEven(picture.width * scale) };
  const window = { top: 0, left: 0, ...size };
  state.drawingAhead = true;
  const part = { scale, size: null, window, wanted };
  const request = { model: of, stages: stop ?? null, error: false, kind: /** @type {const} */ ("ahead"), chain, ...part };
  const answer = await engine.view(request, () => false);
  state.drawingAhead = false;
  if (answer && "error" in answer) return;
  if (answer && "bitmap" in answer && picture === state.picture && chain === state.chain) {
    state.ahead.set(name, { pass: "preview", scale, bitmap: answer.bitmap, size, window });
    changed("frames");
  }
  waitToDrawAhead(answer ? AHEAD_MS : AHEAD_AGAIN_MS * (0.5 + Math.random()));
}

export function buildAhead() {
  subscribe(["frames"], waitToDrawAhead);
}
