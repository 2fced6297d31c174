// @ts-check
// What opens over the page and closes again: More, and on phones the choice of a picture. Phones have in More what wide
// windows have in their two rows.

import { $, root } from "./dom.js";

const PHONE = matchMedia("(max-width: 999px)");

/** Whether the window is as narrow as a phone's. */
export const isPhone = () => PHONE.matches;

function arrange() {
  const [head, tools, more] = [$(".head"), $(".tools .push, .show-and-more"), $(".more")];
  const [questions, end, paint] = [$(".questions"), $(".end"), $(".paint")];
  if (isPhone()) {
    head.append(more);
    $(".more-panel").prepend(questions, paint, end);
  } else {
    head.append(questions, end);
    tools.append(paint, more);
  }
}

/** @param {boolean} open */
export function openPictures(open) {
  $(".pictures").dataset.open = open ? "yes" : "no";
  $(".picture-toggle").setAttribute("aria-expanded", String(open));
}

function close(event) {
  if (!event.target.closest(".more")) $(".more").open = false;
  if (!event.target.closest(".pictures")) openPictures(false);
}

function closeByKey(event) {
  if (event.key !== "Escape" || !event.target.closest(".more[open], .pictures[data-open=yes]")) return;
  $(".more").open = false;
  openPictures(false);
  (event.target.closest(".more") ? $(".more summary") : $(".picture-toggle")).focus();
}

export function buildMenus() {
  $(".picture-toggle").addEventListener("click", () => openPictures($(".pictures").dataset.open !== "yes"));
  root.addEventListener("pointerdown", close);
  root.addEventListener("keydown", closeByKey);
  PHONE.addEventListener("change", arrange);
  arrange();
}
