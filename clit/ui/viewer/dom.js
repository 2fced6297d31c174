// @ts-check
// The page's element, and how nodes are found and made in it.

/** @type {any} */
export let root; // .clit-page, once the page is mounted

/** @param {Element} element what gradio made of viewer.html */
export function mount(element) {
  root = element.querySelector(".clit-page");
}

/** The page's element of a selector. @param {string} selector @returns {any} */
export const $ = (selector) => root.querySelector(selector);

/** All of them. @param {string} selector @returns {any[]} */
export const $$ = (selector) => [...root.querySelectorAll(selector)];

/**
 * An HTML element. Attributes: "class", "on…" for listeners, true for those without a value.
 * @param {string} tag @param {Record<string, any>} [attributes] @param {...any} children null is left out
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** An SVG element. @param {string} tag @param {Record<string, any>} [attributes] @param {...any} children @returns {any} */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** An SVG element that holds a text. @param {string} text @param {Record<string, any>} attributes @returns {any} */
export function svgText(text, attributes) {
  const node = svg("text", attributes);
  node.textContent = text;
  return node;
}
