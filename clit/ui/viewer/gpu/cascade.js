// @ts-check
// LIT and CLIT on the device: local attention in stages, all of which predict the same pixels.

import { latentsAt, positionPart } from "../attention.js";
import { attendKernel, ATTEND_THREADS, fourierKernel, mixKernel } from "./attend.js";
import { gridsOf } from "./chain.js";
import { clip, Convolution, grow, sides } from "./convolve.js";
import { groupPixels, groupSize } from "./groups.js";
import { attentionMlp, keepLayers, shareRows } from "./mlp.js";
import { finish } from "./picture.js";
import { linearAxis, resampledAxis, spanOf, stageAxis, tapTable } from "./tables.js";
import { layerOf, transpose } from "./weights.js";
import { bindings } from "./wgsl.js";

/** @import { Stage } from "../engine.js" */
/** @import { Pair } from "./chain.js" */
/** @import { GpuMap, Region } from "./convolve.js" */
/** @import { Buffer, Gpu } from "./device.js" */
/** @import { Pause } from "./encoder.js" */
/** @import { GpuPicture } from "./picture.js" */
/** @import { StageAxis } from "./tables.js" */
/** @import { Tensors } from "./weights.js" */

/**
 * A part of an output: window is top, left, height, width in pixels of an output of `size`; factors of a cascade's stages.
 * @typedef {{small: Pair, size: Pair, window: [number, number, number, number], factors: Pair[]}} Part
 */

/** @typedef {{grid: Pair, rows: StageAxis, columns: StageAxis, region: Region}} StagePlace where a part lies on a stage's grid; region: all latents it reads */

const CARRY = 0.75; // of the previous stage's prediction
const CHUNK_PIXELS = 16_384; // the device is asked for so many at a time: 13 MB of weights of 4 heads

const f = Math.fround;

/**
 * source (rows, columns, 4 wide4) resampled to points of a grid: taps (rows then columns), two indices, two weights.
 * @param {number} wide4
 */
const resampleKernel = (wide4) => `
${bindings("rows: u32, columns: u32, width: u32, line: u32", "source: vec4f", "taps: vec4u", "out result: vec4f")}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.y * sizes.line + id.x; // line: threads along x
  if (i >= sizes.rows * sizes.columns * ${wide4}u) { return; }
  let point = i / ${wide4}u;
  let channel = i % ${wide4}u;
  let down = taps[point / sizes.columns];
  let across = taps[sizes.rows + point % sizes.columns];
  let y = bitcast<vec2f>(down.zw);
  let x = bitcast<vec2f>(across.zw);
  let top = source[(down.x * sizes.width + across.x) * ${wide4}u + channel] * x.x + source[(down.x * sizes.width + across.y) * ${wide4}u + channel] * x.y;
  let low = source[(down.y * sizes.width + across.x) * ${wide4}u + channel] * x.x + source[(down.y * sizes.width + across.y) * ${wide4}u + channel] * x.y;
  result[i] = top * y.x + low * y.y;
}`;

export class Cascade {
  /** @param {Gpu} gpu @param {any} config a CLITConfig @param {Tensors} tensors */
  constructor(gpu, config, tensors) {
    this.gpu = gpu;
    this.config = config;
    const { width, heads, radius, hidden, fourier } = config;
    this.side = 2 * radius + 1;
    this.embed = new Convolution(gpu, [layerOf(tensors, "embed")]);
    const { weight, bias } = layerOf(tensors, "bias.proj");
    this.position = { heads, frequencies: tensors.get("bias.frequencies").data, position: weight.data, positionBias: bias.data };
    this.widths = { side: this.side, heads, d4: width / heads / 4, fourier4: fourier / 4, hidden4: hidden[0] / 4 };
    const convs = ["query_conv", "key_conv", "value_conv", ...(fourier ? ["fourier_conv"] : [])];
    this.stages = Array.from({ length: config.stages }, (_, j) => {
      const name = `stages.${j}`;
      const first = layerOf(tensors, `${name}.mlp.0`);
      const values = this.side ** 2 * width; // the MLP's first inputs; the cell and the Fourier features follow
      return {
        maps: new Convolution(gpu, convs.map((each) => layerOf(tensors, `${name}.${each}`))),
        ofValues: gpu.keep(transpose(first.weight, 0, values)),
        ofCell: transpose(first.weight, values, values + 2),
        ofFourier: fourier ? gpu.keep(transpose(first.weight, values + 2)) : null,
        constant: first.bias.data,
        ...keepLayers(gpu, tensors, `${name}.mlp`, 2, hidden.length - 1),
      };
    });
  }

  /** Why a decoder of this kind cannot be drawn here; null if it can. @param {any} config a CLITConfig */
  static refuses({ width, heads, hidden, fourier }) {
    if (hidden.some((each) => each !== hidden[0])) return "hidden layers of different widths";
    if ((width / heads) % 4 || hidden[0] % 4 || fourier % 4) return "widths that are no multiples of 4";
    return hidden[0] > 256 ? "hidden layers of more than 256" : null;
  }

  /** Channels of the widest map. */
  get mapsWidth() {
    return 3 * this.config.width + 4 * this.config.fourier;
  }

  /** @param {Part} part @returns {StagePlace[]} */
  placeStages({ small, size, window: [top, left, height, width], factors }) {
    const { radius } = this.config;
    return gridsOf(small, factors).map((grid) => {
      const rows = stageAxis(size[0], grid[0], top, height, radius);
      const columns = stageAxis(size[1], grid[1], left, width, radius);
      const nearest = /** @type {Region} */ ([rows.nearest[0], columns.nearest[0], rows.nearest.at(-1) + 1, columns.nearest.at(-1) + 1]);
      return { grid, rows, columns, region: grow(nearest, Math.max(radius, 1)) };
    });
  }

  /** The part of the small picture whose features are read. @param {Part} part @returns {Region} */
  reads(part) {
    const regions = this.placeStages(part).map((place, j) => (j ? resampled(place, part.small).region : grow(place.region, 1)));
    const [top, left] = [0, 1].map((i) => Math.min(...regions.map((each) => each[i])));
    const [bottom, right] = [2, 3].map((i) => Math.max(...regions.map((each) => each[i])));
    return clip(grow([top, left, bottom, right], 1), part.small);
  }

  /** Colours and bytes of a part, until `free` of the device. @param {GpuPicture} picture @param {GpuMap} features @param {Part} part @param {Pause} pause */
  async draw(picture, features, part, pause) {
    const [top, left, height, width] = part.window;
    const residual = this.gpu.make(4 * height * width);
    for (const [j, place] of this.placeStages(part).entries()) {
      await this.drawStage(j, place, this.makeMaps(j, place, features, part.small), part, residual, pause);
    }
    const [rows, columns] = [linearAxis(part.size[0], part.small[0], top, height), linearAxis(part.size[1], part.small[1], left, width)];
    return finish(this.gpu, picture, [height, width], residual, { rows, columns });
  }

  /**
   * q, k, v and what the Fourier features are made of, over a stage's region: of the embedded features z, which later
   * stages read resampled to their grid. @param {number} j @param {StagePlace} place @param {GpuMap} features @param {Pair} small
   */
  makeMaps(j, place, features, small) {
    const { maps } = this.stages[j];
    if (!j) return maps.over(this.embed.over(features, grow(place.region, 1), small), place.region, small);
    const { region, rows, columns } = resampled(place, small);
    const z = this.embed.over(features, region, small);
    const points = grow(place.region, 1);
    const [height, width] = sides(points);
    const buffer = this.gpu.make(height * width * this.config.width);
    const taps = new Uint32Array([...tapTable(rows, region[0]), ...tapTable(columns, region[1])]);
    const groups = Math.ceil((height * width * this.config.width) / 4 / 64);
    const across = Math.min(groups, 65_535);
    this.gpu.run(resampleKernel(this.config.width / 4), [height, width, region[3] - region[1], across * 64], [z.buffer, this.gpu.make(taps), buffer], [across, Math.ceil(groups / across)]);
    return maps.over({ buffer, region: points }, place.region, place.grid);
  }

  /** Tables and buffers of a part on a stage's grid. @param {number} j @param {StagePlace} place @param {GpuMap} maps @param {Part} part */
  prepareStage(j, { grid, rows, columns, region }, maps, { size }) {
    const { gpu, config, position, widths } = this;
    const { radius, width } = config;
    const across = region[3] - region[1];
    const density = (size[0] / grid[0]) * (size[1] / grid[1]);
    const pixels = groupSize(density);
    const base = (y, x) => (y - radius - region[0]) * across + x - radius - region[1];
    const { slots, bases, count } = groupPixels(rows, columns, base, pixels);
    const alongs = /** @type {[StageAxis, 0 | 1][]} */ ([[rows, 0], [columns, 1]]);
    const bias = alongs.flatMap(([{ relative }, axis]) => relative.flatMap((line) => line.flatMap((each) => positionPart(position, each, axis))));
    const { ofCell, constant } = this.stages[j];
    const cell = size.map((n, axis) => f(f(2 / n) * grid[axis]));
    return {
      widths: { ...widths, pixels },
      count,
      slots: gpu.make(slots),
      bases: gpu.make(bases),
      maps: maps.buffer,
      taps: gpu.make(new Uint32Array([...tapTable(rows.taps, region[0]), ...tapTable(columns.taps, region[1])])),
      bias: gpu.make(Float32Array.from(bias)),
      relative: gpu.make(Float32Array.from([...rows.relative, ...columns.relative], (line) => line[radius])),
      constant: gpu.make(constant.map((each, h) => each + cell[0] * ofCell[h] + cell[1] * ofCell[constant.length + h])),
      /** The uniform of a chunk. @param {number} first @param {number} groups @returns {(number | [number])[]} */
      sizes: (first, groups) => [first, groups * pixels, rows.nearest.length, columns.nearest.length, across, [1 / Math.sqrt(width / config.heads)], pixels],
    };
  }

  /** @param {number} j @param {StagePlace} place @param {GpuMap} maps @param {Part} part @param {Buffer} residual @param {Pause} pause */
  async drawStage(j, place, maps, part, residual, pause) {
    const { gpu, side, config } = this;
    const stage = this.stages[j];
    const { widths, count, slots, bases, taps, bias, relative, constant, sizes, maps: map } = this.prepareStage(j, place, maps, part);
    const { pixels, heads, hidden4, fourier4 } = widths;
    const most = Math.min(count, CHUNK_PIXELS / pixels);
    const weights = gpu.make(most * pixels * side ** 2 * heads);
    const features = fourier4 ? gpu.make(most * pixels * 8 * fourier4) : null;
    const hidden = gpu.make(most * pixels * 4 * hidden4);
    const mlp = attentionMlp({ hidden4, fourier4, layers: config.hidden.length - 1, carry: j ? CARRY : 0 });
    for (let first = 0; first < count; first += most) {
      const groups = Math.min(most, count - first);
      const numbers = sizes(first, groups);
      gpu.run(attendKernel(widths), numbers, [slots, bases, map, taps, bias, weights], [Math.ceil((groups * pixels) / ATTEND_THREADS), heads]);
      if (features) gpu.run(fourierKernel(widths), numbers, [slots, bases, map, relative, features], [Math.ceil((groups * pixels * fourier4) / ATTEND_THREADS)]);
      gpu.run(mixKernel(widths), numbers, [slots, bases, map, weights, stage.ofValues, constant, hidden], [groups]);
      gpu.run(
        mlp,
        [first * pixels, groups * pixels],
        [slots, hidden, stage.weight, stage.bias, stage.last, residual, ...(features ? [features, stage.ofFourier] : [])],
        [Math.ceil((groups * pixels) / shareRows(hidden4).rows)],
      );
      await pause();
    }
  }

  /** What one pixel looked at, stage by stage: `part` is that pixel. @param {GpuMap} features @param {Part} part @returns {Promise<Stage[]>} */
  async attend(features, part) {
    const { gpu, side, config, position } = this;
    const { heads } = config;
    const stages = [];
    for (const [j, place] of this.placeStages(part).entries()) {
      const { widths, slots, bases, maps, taps, bias, sizes } = this.prepareStage(j, place, this.makeMaps(j, place, features, part.small), part);
      const length = widths.pixels * side ** 2 * heads;
      const [weights, content] = [gpu.make(length), gpu.make(length)];
      gpu.run(attendKernel(widths, true), sizes(0, 1), [slots, bases, maps, taps, bias, weights, content], [Math.ceil(widths.pixels / ATTEND_THREADS), heads]);
      const [ofWeights, ofContent] = [new Float32Array(await gpu.read(weights, length)), new Float32Array(await gpu.read(content, length))];
      const ofHeads = (/** @type {(head: number, y: number, x: number) => number} */ value) =>
        Array.from({ length: heads }, (_, head) => Array.from({ length: side }, (_, y) => Array.from({ length: side }, (_, x) => value(head, y, x))));
      const at = (head, y, x) => ((y * side + x) * heads + head) * widths.pixels;
      const { rows, columns } = place;
      const along = [rows.relative[0].map((each) => positionPart(position, each, 0)), columns.relative[0].map((each) => positionPart(position, each, 1))];
      const around = (/** @type {number[]} */ [nearest]) => Array.from({ length: side }, (_, i) => nearest + i - config.radius);
      stages.push({
        weights: ofHeads((head, y, x) => ofWeights[at(head, y, x)]),
        content: ofHeads((head, y, x) => ofContent[at(head, y, x)]),
        position: ofHeads((head, y, x) => along[0][y][head] + along[1][x][head]),
        ...latentsAt(around(rows.nearest), around(columns.nearest), place.grid, { height: part.small[0], width: part.small[1] }),
      });
    }
    return stages;
  }
}

/** What of z a later stage's maps are made from, and how it is resampled: to one more point on every side, for the convolutions. @param {StagePlace} place @param {Pair} small */
function resampled({ grid, region }, small) {
  const [top, left, bottom, right] = grow(region, 1);
  const [rows, columns] = [resampledAxis(small[0], grid[0], top, bottom), resampledAxis(small[1], grid[1], left, right)];
  const [[first, last], [start, stop]] = [spanOf(rows), spanOf(columns)];
  return { rows, columns, region: /** @type {Region} */ ([first, start, last, stop]) };
}
