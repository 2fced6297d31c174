// @ts-check
// Questions to the server, and addresses on it.

import { changed, state } from "./store.js";

/** @type {any} what gradio gives a component: server functions and the upload */
let host;

/** @param {any} component */
export function connect(component) {
  host = component;
}

/**
 * Ask the server. Every question carries the visit's token and the open picture. An answer with `error` is one sentence
 * for a person; one that is `expired` is told by the topic "forgotten" as well.
 * @param {string} question @param {object} [details]
 * @returns {Promise<any>}
 */
export async function ask(question, details = {}) {
  const { token } = state;
  let answer;
  try {
    answer = await host.server[question]({ token, picture: state.picture?.id, ...details });
  } catch (error) {
    console.warn(error);
  }
  answer ??= { error: "The server does not answer: check the connection, then try again." };
  if (answer.expired && token === state.token && !state.forgotten) {
    state.forgotten = answer.error;
    changed("forgotten");
  }
  return answer;
}

/** Send a file: its path on the server. @param {File} file @returns {Promise<string>} */
export const sendFile = async (file) => (await host.upload(file)).path;

/** The address of a path of this server, below a proxy's prefix too. @param {string} path */
export function serverUrl(path) {
  const base = /** @type {any} */ (window).gradio_config?.root || new URL(".", document.baseURI).href;
  return base.replace(/[/]$/, "") + "/" + path;
}
