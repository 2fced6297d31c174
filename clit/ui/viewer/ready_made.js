// @ts-check
// What a site of files shows where the browser cannot draw: a part of each example, as each method drew it when the site was
// written, at a few scales.

import { $, make, root } from "./dom.js";
import { shortLabel } from "./models.js";
import { siteUrl } from "./site_files.js";

const LEFT_OUT = [".pictures", ".questions", ".end", ".tools", ".picture-area", ".dock", ".all", "#clit-privacy"];

/**
 * @param {string} why one sentence
 * @param {{models: any[], examples: any[], ready: {scales: number[], methods: string[]}}} site
 */
export function showReadyMade(why, { models, examples, ready }) {
  for (const each of LEFT_OUT) $(each).remove();
  const pictures = make("div", { class: "ready-pictures" });
  const caption = make("p", { class: "note ready-caption", role: "status" });
  let shown = { example: examples[0], scale: ready.scales.at(-1) };

  const thumbnails = examples.map((example) =>
    make(
      "button",
      { type: "button", class: "example", "aria-pressed": "false", title: example.title, onclick: () => show({ example }) },
      make("img", { src: `data:image/webp;base64,${example.thumbnail}`, alt: example.title }),
    ),
  );
  const scales = ready.scales.map((scale) => make("button", { type: "button", class: "button", onclick: () => show({ scale }) }, `×${scale}`));
  const choices = make(
    "div",
    { class: "ready-choices" },
    make("div", { class: "examples", role: "group", "aria-label": "Example pictures" }, ...thumbnails),
    make("div", { class: "group", role: "group", "aria-label": "Scale" }, ...scales),
    caption,
  );
  $(".app").append(make("div", { class: "ready" }, make("p", { class: "ready-why", role: "note" }, why), choices, pictures));
  if (examples.length) show({});

  /** @param {Partial<typeof shown>} change */
  function show(change) {
    shown = { ...shown, ...change };
    const { example, scale } = shown;
    thumbnails.forEach((button, i) => button.setAttribute("aria-pressed", String(examples[i] === example)));
    scales.forEach((button, i) => button.setAttribute("aria-pressed", String(ready.scales[i] === scale)));
    const { author, licence } = example.credit;
    caption.textContent = [example.title, [author, licence].filter(Boolean).join(", ")].filter(Boolean).join(" · ");
    const stem = example.name.replace(/[.][^.]*$/, "");
    const figures = models
      .filter(({ name }) => ready.methods.includes(name))
      .map((model) => {
        const label = shortLabel(model);
        const alt = `${example.title}, a part of it made ${scale} times larger by ${label}`;
        return make("figure", {}, make("figcaption", { title: model.about }, label), make("img", { src: siteUrl(`ready/${stem}/${model.name}-x${scale}.webp`), alt }));
      });
    pictures.replaceChildren(...figures);
  }
  root.dataset.ready = "yes";
}
