// @ts-check
// The page of a view: one file that works without a server and without a network. It holds what `saveView` says, and the
// viewer's own modules, as an import map of their texts.

import { $, make } from "./dom.js";
import { nameOfView, saveFile } from "./files.js";
import { linkOfView } from "./links.js";
import { describeView } from "./pictures.js";
import { saveView } from "./saved_view.js";
import { serverUrl } from "./server.js";
import { state } from "./store.js";

const START = "start_saved.js";
const LEFT_OUT = [
  ...[".pictures", ".questions", ".end", ".tour", "#clit-traces", "#clit-scores", "#clit-make"],
  ...["#clit-tab-traces", "#clit-tab-scores", "#clit-tab-make", ".save-look"],
  ...[".copy", ".foot > :not(.cite, .papers)"],
];
const POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' data:";

/** @param {string} name a file of the viewer */
async function fetchText(name) {
  const answer = await fetch(serverUrl(`viewer/${name}`));
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.text();
}

/** A module and all that it imports, by name. @param {string} name @param {Map<string, string>} [found] */
async function collectModules(name, found = new Map()) {
  if (found.has(name)) return found;
  found.set(name, "");
  const text = await fetchText(name);
  const imported = [...text.matchAll(/from "[.][/](\w+[.]js)"/g)].map(([, each]) => each);
  for (const each of imported) await collectModules(each, found);
  return found.set(name, text.replace(/from "[.][/](\w+[.]js)"/g, 'from "clit/$1"'));
}

/** @param {string} text */
const asDataUrl = (text) => `data:text/javascript;base64,${btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""))}`;

/** As JSON that may stand in a script. @param {any} value */
const asJson = (value) => JSON.stringify(value).replaceAll("<", "\\u003c");

/** The parts of the page that need no server. @param {string} html @returns {string} */
function keepParts(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const each of page.querySelectorAll(LEFT_OUT.join())) each.remove();
  page.querySelector(".paint-key").replaceWith($(".paint-key").cloneNode(true));
  page.querySelector(".clit-page").classList.add("saved");
  const caption = make("p", { class: "caption" }, describeView());
  const live = state.picture.example && make("a", { class: "button", href: linkOfView() }, "Open live");
  page.querySelector(".head").append(caption, ...(live ? [live] : []));
  return page.querySelector(".clit-page").outerHTML;
}

/** The text of the page of the present view; an answer with `error` where it cannot be made. @returns {Promise<string | {error: string}>} */
async function writePage() {
  const saved = await saveView();
  if ("error" in saved) return saved;
  const [html, css, modules] = await Promise.all([fetchText("viewer.html"), fetchText("viewer.css"), collectModules(START)]);
  const imports = Object.fromEntries([...modules].map(([name, text]) => [`clit/${name}`, asDataUrl(text)]));
  const text = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${describeView().replace(/[&<>]/g, " ")}</title>
<style>html { scrollbar-gutter: stable } body { margin: 0 } #clit { ${css} }</style>
<script type="importmap">${asJson({ imports })}</script>
</head>
<body>
<main id="clit">${keepParts(html)}</main>
<script type="application/json" id="saved">${asJson(saved)}</script>
<script type="module">
import { startSaved } from "clit/${START}";
startSaved(JSON.parse(document.getElementById("saved").textContent));
</script>
</body>
</html>
`;
  const { size } = new Blob([text]);
  const most = state.limits.page_bytes;
  if (size <= most) return text;
  const [needed, allowed] = [size, most].map((bytes) => (bytes / 1e6).toFixed(1));
  return { error: `The page of this view would have ${needed} MB, and ${allowed} are allowed: choose a larger scale, or fewer panes.` };
}

/** Save the page of the present view. @returns {Promise<string>} one sentence on what went wrong, if anything did */
export async function savePage() {
  const page = await writePage();
  if (typeof page !== "string") return page.error ?? "";
  saveFile(new Blob([page], { type: "text/html" }), `${nameOfView()}.html`);
  return "";
}
