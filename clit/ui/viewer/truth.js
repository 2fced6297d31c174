// @ts-check
// Ground truth: the picture made smaller, and every method measured against what it was.

import { showTab } from "./dock.js";
import { $ } from "./dom.js";
import { outputSize, shownScale } from "./geometry.js";
import { complain } from "./notice.js";
import { times } from "./numbers.js";
import { pickPlace } from "./pixel.js";
import { offerFiles, openFile, openPicture } from "./pictures.js";
import { state, subscribe } from "./store.js";
import { changeView } from "./view.js";

/** @import { Picture } from "./engine.js" */

const ABOUT = "Make this picture smaller by the scale, and measure every method against what it was";
const LEAST_SIDE = 24; // pixels of a small picture from which scores tell something
const LEAST_SCALE = 1.5; // below this there is little to tell

/** @type {any} how the whole picture was seen before: {view, at, picked, pickedAt} */
let whole = null;

/** How many pixels of the original a pixel of the picture is wide. @param {Picture} picture */
const pixelSide = ({ height, original, truth }) => truth ?? original.height / height;

/** Why a picture cannot be made smaller by a scale and judged, if so. @param {Picture} picture without ground truth @param {number} scale */
function truthRests({ original }, scale) {
  const least = Math.min(original.height, original.width);
  if (least >= scale * LEAST_SIDE) return "";
  const most = Math.floor((10 * least) / LEAST_SIDE) / 10;
  const size = [original.width, original.height].map((side) => Math.floor(side / scale)).join(" × ");
  const instead = most >= LEAST_SCALE ? `choose a scale of at most ×${most}.` : "open a larger one.";
  return `Made smaller by ${times(scale)}, this picture would have ${size} pixels, too few to judge: ${instead}`;
}

/** The place stays where it is, the picked pixel too; going back without having moved, all is as it was. */
async function switchTruth(on) {
  if (!state.picture || state.opening || on === Boolean(state.picture.truth)) return;
  const { picture, picked, view } = state;
  const rests = on ? truthRests(picture, shownScale()) : "";
  if (rests) return complain(rests);
  const before = { ...view };
  const opened = await openPicture({ truth: picture.truth ? null : shownScale(), example: picture.example });
  if (!opened) return; // there is a sentence that says why
  const scale = pixelSide(picture) / pixelSide(state.picture);
  const back = picture.truth && whole;
  if (back) changeView({ magnification: whole.view.magnification });
  const stayed = back && before.y === whole.at.y && before.x === whole.at.x;
  const size = outputSize(shownScale());
  for (const [axis, side] of [["y", "height"], ["x", "width"]]) {
    if (stayed) changeView({ [axis]: whole.view[axis] });
    else if (size[side] * view.magnification > state.pane[side]) changeView({ [axis]: before[axis] * scale });
  }
  const left = picture.truth ? null : { view: before, at: { ...state.view }, picked, pickedAt: null };
  if (picked) {
    pickPlace(back && picked === whole.pickedAt ? whole.picked : { y: picked.y * scale, x: picked.x * scale });
    if (left) left.pickedAt = state.picked;
  }
  whole = left;
  showTab(on ? "scores" : "attention");
}

/** Open another picture as the page now asks for it: with its ground truth, where that is on. @param {() => Promise<boolean>} open */
export async function openAsAsked(open) {
  const scale = state.picture?.truth;
  if (!(await open())) return;
  whole = null;
  if (!scale) return;
  const rests = truthRests(state.picture, scale);
  if (rests) complain(rests);
  else await openPicture({ truth: scale, example: state.picture.example });
}

function showToggle() {
  const truth = state.picture?.truth;
  $(".truth-toggle").setAttribute("aria-pressed", String(Boolean(truth)));
  $(".truth-off").setAttribute("aria-pressed", String(!truth));
  $(".truth-toggle").disabled = !state.picture;
  const rests = state.picture && !truth ? truthRests(state.picture, shownScale()) : "";
  $(".truth-toggle").setAttribute("aria-disabled", String(Boolean(rests)));
  $(".truth-toggle").title = rests || ABOUT;
  $(".scores-none").textContent = rests || `Scores need a ground truth: press Ground truth, and this picture is made smaller by the scale; every method is then measured against what it was.`;
  $(".scale > label").textContent = truth ? "Made smaller by" : "Scale";
  $(".scale-rests").hidden = !truth; // why the scale cannot be moved
}

export function buildTruth() {
  $(".truth-toggle").addEventListener("click", () => switchTruth(true));
  $(".truth-off").addEventListener("click", () => switchTruth(false));
  offerFiles((file) => openAsAsked(() => openFile(file)));
  subscribe(["picture", "view"], showToggle);
}
