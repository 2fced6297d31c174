// @ts-check
// What opens over the page and closes again: More, Share, and on phones the choice of a picture. Phones have in More what wide
// windows have in their two rows.

import { $, $$, root } from "./dom.js";

const PHONE = matchMedia("(max-width: 999px)");

/** Whether the window is as narrow as a phone's. */
export const isPhone = () => PHONE.matches;

function arrange() {
  const [head, tools, more] = [$(".head"), $(".tools .push, .show-and-more"), $(".more")];
  const [questions, end, paint, share] = [$(".questions"), $(".end"), $(".paint"), $(".share")];
  if (isPhone()) {
    head.append(share, more);
    $(".more-panel").prepend(questions, paint, end);
  } else {
    head.append(questions, end);
    $(".tour-begin").after(share);
    tools.append(paint, more);
  }
}

/** @param {boolean} open */
export function openPictures(open) {
  $(".pictures").dataset.open = open ? "yes" : "no";
  $(".picture-toggle").setAttribute("aria-expanded", String(open));
}

/** Close all that lies over the page. */
export function closeMenus() {
  for (const each of $$(".more, .share")) each.open = false;
  openPictures(false);
}

function close(event) {
  for (const each of $$(".more, .share")) if (!each.contains(event.target)) each.open = false;
  if (!event.target.closest(".pictures")) openPictures(false);
}

function closeByKey(event) {
  const opened = event.target.closest(".more[open], .share[open], .pictures[data-open=yes]");
  if (event.key !== "Escape" || !opened) return;
  if ("open" in opened) opened.open = false;
  openPictures(false);
  opened.querySelector("summary, .picture-toggle").focus();
}

export function buildMenus() {
  $(".picture-toggle").addEventListener("click", () => openPictures($(".pictures").dataset.open !== "yes"));
  root.addEventListener("pointerdown", close);
  root.addEventListener("keydown", closeByKey);
  PHONE.addEventListener("change", arrange);
  arrange();
}
