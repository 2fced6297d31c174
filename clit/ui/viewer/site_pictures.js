// @ts-check
// The open picture of a site of files: an example, a file of the visitor's, or one of these made smaller by a scale.

import { bitmapOf, cut, fetchRaster, readFile } from "./decoding.js";
import { roundHalfEven, times } from "./numbers.js";
import { shrink } from "./resampling.js";
import { siteUrl } from "./site_files.js";

/** @import { Failure, Picture, Source } from "./engine.js" */
/** @import { Raster } from "./resampling.js" */

/**
 * A picture as engines work with it.
 * @typedef {object} Opened
 * @property {Picture} picture
 * @property {Raster} raster the small picture
 * @property {Raster | null} truth its ground truth
 * @property {Opened | null} whole what it was made smaller from
 * @property {() => Promise<Raster>} original what ground truth is made from
 */

const LEAST_SIDE = 4; // pixels of a picture made smaller for comparison

/** @typedef {{name: string, file: string, size: [number, number], original: string | null, original_size: [number, number], credit: object, place: any}} Example */

let count = 0; // of files opened, which names them

/**
 * Open a picture.
 * @param {Source} source @param {{examples: Example[], limits: any}} site @param {Opened | null} open the one that is open
 * @returns {Promise<Opened | Failure>}
 */
export async function openSource(source, { examples, limits }, open) {
  if ("truth" in source) {
    const whole = open?.whole ?? open;
    if (!whole) return { error: "There is no picture to make smaller: open one first." };
    return source.truth === null ? { ...whole, picture: { ...whole.picture, place: null } } : openSmaller(whole, source.truth);
  }
  if ("example" in source) {
    const example = examples.find((each) => each.name === source.example);
    return example ? openExample(example) : { error: "There is no such example: choose one of those shown." };
  }
  if (!("file" in source)) throw new Error("a site of files has no server to send files to");
  const read = await readFile(source.file, limits);
  if ("error" in read) return read;
  const { raster, notice } = read;
  const id = `file-${(count += 1)}`;
  const original = async () => raster;
  return { picture: await describe(raster, { id, whole: id, name: source.file.name, notice }), raster, truth: null, whole: null, original };
}

/** @param {Example} example @returns {Promise<Opened | Failure>} */
async function openExample({ name, file, original, original_size: [height, width], credit, place }) {
  try {
    const raster = await fetchRaster(siteUrl(file));
    const told = { id: `example-${name}`, whole: `example-${name}`, name, credit, place, original: { height, width }, example: name };
    const fetchOriginal = () => (original ? fetchRaster(siteUrl(original)) : Promise.resolve(raster));
    return { picture: await describe(raster, told), raster, truth: null, whole: null, original: fetchOriginal };
  } catch (error) {
    console.warn(error);
    return { error: "The picture does not arrive: check the connection, then try again." };
  }
}

/**
 * A small picture and its ground truth, as `make_smaller` in clit/ui/pictures.py makes them.
 * @param {Opened} whole @param {number} scale @returns {Promise<{raster: Raster, truth: Raster} | Failure>}
 */
export async function makePair(whole, scale) {
  let original;
  try {
    original = await whole.original();
  } catch (error) {
    console.warn(error);
    return { error: "The picture at full size does not arrive: check the connection, then try again." };
  }
  const [rows, columns] = [original.height, original.width].map((side) => Math.floor(side / scale + 1e-9));
  const least = Math.min(rows, columns);
  if (least < LEAST_SIDE || least * scale < 2 * Math.ceil(scale) + 11) {
    const { height, width } = original;
    return { error: `Made smaller by ${times(scale)}, this picture of ${width} × ${height} pixels has too few left to compare: choose a smaller scale, or a larger picture.` };
  }
  const size = { height: rows, width: columns };
  const large = { height: roundHalfEven(rows * scale), width: roundHalfEven(columns * scale) };
  const truth = cut(original, { top: 0, left: 0, ...large });
  return { raster: shrink(truth, large, size, { top: 0, left: 0, ...size }), truth };
}

/** @param {Opened} whole @param {number} scale @returns {Promise<Opened | Failure>} */
async function openSmaller(whole, scale) {
  const pair = await makePair(whole, scale);
  if ("error" in pair) return pair;
  const { id, name, credit, example, notice, original } = whole.picture;
  const told = { id: `${id} by ${scale}`, whole: id, name, credit, example, notice, truth: scale, original };
  return { ...pair, picture: await describe(pair.raster, told), whole, original: whole.original };
}

/** @param {Raster} raster @param {Partial<Picture> & {id: string, whole: string, name: string}} told @returns {Promise<Picture>} */
async function describe(raster, told) {
  const { height, width } = raster;
  const unknown = { credit: {}, notice: "", place: null, original: { height, width }, truth: null, example: null };
  return { ...unknown, ...told, height, width, bitmap: await bitmapOf(raster) };
}
