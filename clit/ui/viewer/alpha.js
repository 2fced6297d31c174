// @ts-check
// Colours with and without a fourth number, which canvases and graphics processors have.

/** @param {Uint8Array} rgb @returns {Uint8ClampedArray} opaque */
export function withAlpha(rgb) {
  const out = new Uint8ClampedArray((rgb.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    out[to] = rgb[from];
    out[to + 1] = rgb[from + 1];
    out[to + 2] = rgb[from + 2];
  }
  return out;
}

/** @template {Uint8Array | Float32Array} T @param {ArrayLike<number>} rgba @param {new (length: number) => T} Numbers @returns {T} */
export function withoutAlpha(rgba, Numbers) {
  const out = new Numbers((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    out[to] = rgba[from];
    out[to + 1] = rgba[from + 1];
    out[to + 2] = rgba[from + 2];
  }
  return out;
}
