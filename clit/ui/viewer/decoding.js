// @ts-check
// Picture files read by the browser itself: they are sent nowhere.

import { withAlpha, withoutAlpha } from "./alpha.js";
import { clamp } from "./numbers.js";

/** @import { Failure } from "./engine.js" */
/** @import { Raster } from "./resampling.js" */

/** @typedef {{upload_bytes: number, input_pixels: number, input_side: number}} Limits */

/** A file of the site with its very pixels. @param {string} url @returns {Promise<Raster>} */
export async function fetchRaster(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return rasterOf(await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" }));
}

/**
 * A visitor's file: turned as its camera says, in sRGB, over white where it is clear; a picture that is too large is reduced.
 * @param {File} file @param {Limits} limits @returns {Promise<{raster: Raster, notice: string} | Failure>}
 */
export async function readFile(file, limits) {
  if (file.size > limits.upload_bytes) {
    return { error: `This file has ${Math.round(file.size / 1e6)} MB: choose one of at most ${Math.round(limits.upload_bytes / 1e6)} MB.` };
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch (error) {
    console.warn(error);
    return { error: `${file.name} is no picture that this browser reads, or too large for it: choose a PNG, JPEG or WebP.` };
  }
  const { height, width } = bitmap;
  const part = Math.min(1, Math.sqrt(limits.input_pixels / (height * width)), limits.input_side / Math.max(height, width));
  if (part === 1) return { raster: rasterOf(bitmap), notice: "" };
  const size = { height: Math.max(1, Math.floor(height * part)), width: Math.max(1, Math.floor(width * part)) };
  const notice = `Your picture of ${width} × ${height} pixels was reduced to ${size.width} × ${size.height}: here it is the small picture that the methods enlarge.`;
  return { raster: rasterOf(bitmap, size), notice };
}

/** The colours of a bitmap, over white. @param {ImageBitmap} bitmap @param {{height: number, width: number}} [size] @returns {Raster} */
function rasterOf(bitmap, { height, width } = bitmap) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  return { height, width, rgb: withoutAlpha(data, Uint8Array) };
}

/** @param {Raster} raster @returns {Promise<ImageBitmap>} */
export function bitmapOf({ height, width, rgb }) {
  const image = new ImageData(/** @type {any} */ (withAlpha(rgb)), width, height);
  return createImageBitmap(image, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

/** Colours in [0, 1] as bytes, as `to_bytes` rounds them. @param {Float32Array} values */
export function toBytes(values) {
  const out = new Uint8Array(values.length);
  for (let i = 0; i < out.length; i += 1) out[i] = Math.round(clamp(values[i], 0, 1) * 255); // `from` takes twenty times as long
  return out;
}

/** @param {Uint8Array} bytes */
export function toFloats(bytes) {
  const out = new Float32Array(bytes.length);
  for (let i = 0; i < out.length; i += 1) out[i] = bytes[i] / 255;
  return out;
}

/** A window of a raster. @param {Raster} raster @param {{top: number, left: number, height: number, width: number}} window @returns {Raster} */
export function cut({ width: all, rgb }, { top, left, height, width }) {
  const out = new Uint8Array(3 * height * width);
  for (let y = 0; y < height; y += 1) {
    const from = 3 * ((top + y) * all + left);
    out.set(rgb.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { height, width, rgb: out };
}
