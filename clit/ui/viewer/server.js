// @ts-check
// Questions to the server, and addresses on it.

import { changed, state } from "./store.js";

const LONG = new Set(["score", "find_differences", "view_sources", "look_file"]); // and exact views
const MOST_LONG = 4; // a browser has six connections to a server: two are left for what follows the hand
const [FIRST_PAUSE, GROWTH, LONGEST_PAUSE] = [400, 1.6, 5000]; // before a refused question is asked again, ms

let long = 0; // long questions on their way
/** @type {(() => void)[]} */
const waiting = [];
let refused = 0; // questions that will be asked again

/** @type {number} gradio's number of the component whose functions the questions are */
let component;

export function connect() {
  const { components } = /** @type {any} */ (window).gradio_config;
  component = components.find(({ props }) => props.server_fns?.includes("begin")).id;
}

/**
 * Ask the server. Every question carries the visit's token and the open picture. An answer with `error` is one sentence
 * for a person; one that is `expired` is told by the topic "forgotten" as well. While the server is busy with others it
 * is asked again and again, until it answers or `isOver` says that nobody wants to know any more: then it is `stale`.
 * @param {string} question @param {object} [details] @param {() => boolean} [isOver]
 * @returns {Promise<any>}
 */
export async function ask(question, details = {}, isOver = () => false) {
  const { token } = state;
  const asked = { token, picture: state.picture?.id, ...details };
  const isLong = LONG.has(question) || asked.kind === "exact";
  let answer = await (isLong ? askLong(question, asked, isOver) : askOnce(question, asked));
  if (answer.busy) {
    refused += 1;
    for (let pause = FIRST_PAUSE; answer.busy; ) {
      showCrowd(answer.waiting);
      await sleep(pause * (0.5 + Math.random())); // not all that were refused at once come back at once
      const began = performance.now();
      if (isOver() || token !== state.token) answer = { stale: true };
      else answer = await (isLong ? askLong(question, asked, isOver) : askOnce(question, asked));
      const hasWaited = performance.now() - began > pause; // it stood in line, and need not stay away as well
      pause = hasWaited ? FIRST_PAUSE : Math.min(GROWTH * pause, LONGEST_PAUSE);
    }
    refused -= 1;
    if (!refused) showCrowd(null);
  }
  if (answer.expired && token === state.token && !state.forgotten) {
    state.forgotten = answer.error;
    changed("forgotten");
  }
  return answer;
}

/** @param {string} question @param {object} asked @returns {Promise<any>} */
function askOnce(question, asked) {
  const body = { component_id: component, fn_name: question, data: asked, session_hash: "viewer" }; // gradio keeps nothing for us
  return post("gradio_api/component_server/", JSON.stringify(body), { "Content-Type": "application/json" });
}

/**
 * What the server answers. An answer that refuses has an `error`: the server's own sentence, if it says one. gradio's own
 * client tells no more than that there is none.
 * @param {string} path @param {BodyInit} body @param {Record<string, string>} [headers] @returns {Promise<any>}
 */
async function post(path, body, headers = {}) {
  try {
    const answer = await fetch(serverUrl(path), { method: "POST", body, headers });
    return answer.ok ? await answer.json() : readRefusal(answer, await answer.text());
  } catch (error) {
    console.warn(error);
    return { error: "The server does not answer: check the connection, then try again." };
  }
}

/** @param {Response} answer @param {string} text */
function readRefusal({ status, headers }, text) {
  if (status === 503) return { busy: true, waiting: 0 }; // too many connections: nobody was there to count visitors
  const kind = headers.get("content-type") ?? "";
  const told = kind.startsWith("application/json") ? JSON.parse(text).error : kind.startsWith("text/plain") ? text : "";
  return { error: told || `The server refuses this (status ${status}): try again in a minute.` };
}

/** Ask when few other long questions are on their way. @param {string} question @param {object} asked @param {() => boolean} isOver */
async function askLong(question, asked, isOver) {
  if (long === MOST_LONG) await new Promise((go) => waiting.push(() => go(null)));
  else long += 1;
  try {
    return isOver() ? { stale: true } : await askOnce(question, asked);
  } finally {
    if (waiting.length) waiting.shift()();
    else long -= 1;
  }
}

/** @param {number | null} others how many draw while we are refused */
function showCrowd(others) {
  if (others === state.crowd) return;
  state.crowd = others;
  changed("crowd");
}

/** @param {number} milliseconds */
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Send a file: its path on the server. @param {File} file @returns {Promise<{path: string} | {error: string}>} */
export async function sendFile(file) {
  const form = new FormData();
  form.append("files", file);
  const answer = await post("gradio_api/upload", form);
  if (answer.busy) return { error: "Too many visitors are here now: send the file again in a minute." };
  return answer.error ? answer : { path: answer[0] };
}

/** The address of a path of this server, below a proxy's prefix too. @param {string} path */
export function serverUrl(path) {
  const base = /** @type {any} */ (window).gradio_config?.root || new URL(".", document.baseURI).href;
  return base.replace(/[/]$/, "") + "/" + path;
}
