// @ts-check
// The files of a site beside its modules.

/** The address of a file of the site. @param {string} path below its folder */
export const siteUrl = (path) => new URL(`../${path}`, import.meta.url).href;

/** @param {string} path @returns {Promise<any>} */
export async function fetchJson(path) {
  const answer = await fetch(siteUrl(path));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
