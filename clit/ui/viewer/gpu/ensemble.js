// @ts-check
// LIIF and LTE on the device: what a network predicts at the four latents around a pixel, blended by distance.

import { clip, Convolution, grow } from "./convolve.js";
import { keepLayers, liifMlp, lteMlp, shareRows } from "./mlp.js";
import { finish } from "./picture.js";
import { ensembleAxis, linearAxis, spanOf, tapTable } from "./tables.js";
import { join, layerOf, transpose } from "./weights.js";

/** @import { Part } from "./cascade.js" */
/** @import { GpuMap, Region } from "./convolve.js" */
/** @import { Buffer, Gpu } from "./device.js" */
/** @import { Pause } from "./encoder.js" */
/** @import { GpuPicture } from "./picture.js" */
/** @import { Tensor, Tensors } from "./weights.js" */

const CHUNK_PIXELS = 16_384; // the device is asked for so many at a time

const f = Math.fround;

/** @param {Part} part */
function placeAxes({ small, size, window: [top, left, height, width] }) {
  const rows = ensembleAxis(size[0], small[0], top, height);
  const columns = ensembleAxis(size[1], small[1], left, width);
  const [[first, last], [start, stop]] = [spanOf(rows), spanOf(columns)];
  return { rows, columns, region: /** @type {Region} */ ([first, start, last, stop]) };
}

/** What LIIF and LTE share: `maps` convolves the features, `mlp` predicts, `adds` says whether the enlarged input is added. */
class Ensemble {
  /** @param {Gpu} gpu @param {Convolution} maps @param {string} mlp @param {number} hidden4 @param {{weight: Buffer, bias: Buffer, last: Buffer}} layers @param {boolean} adds */
  constructor(gpu, maps, mlp, hidden4, layers, adds) {
    this.gpu = gpu;
    this.maps = maps;
    this.mlp = mlp;
    this.hidden4 = hidden4;
    this.layers = layers;
    this.adds = adds;
  }

  /** Channels of the map. */
  get mapsWidth() {
    return this.maps.width;
  }

  /** The part of the small picture whose features are read. @param {Part} part @returns {Region} */
  reads(part) {
    return clip(grow(placeAxes(part).region, 1), part.small);
  }

  /** What the network makes of the cell, and of where a latent lies: each kind its own. @abstract @param {[number, number]} _cell @returns {Float32Array} */
  placeNumbers(_cell) {
    throw new Error("A kind of ensemble says this itself.");
  }

  /** Colours and bytes of a part, until `free` of the device. @param {GpuPicture} picture @param {GpuMap} features @param {Part} part @param {Pause} pause */
  async draw(picture, features, part, pause) {
    const { gpu, layers } = this;
    const { small, size, window: [top, left, height, width] } = part;
    const { rows, columns, region } = placeAxes(part);
    const map = this.maps.over(features, region, small);
    const axes = gpu.make(new Uint32Array([...tapTable(rows, region[0]), ...tapTable(columns, region[1])]));
    const cell = /** @type {[number, number]} */ (size.map((n, axis) => f(f(2 / n) * small[axis])));
    const place = gpu.make(this.placeNumbers(cell));
    const colours = gpu.make(4 * height * width);
    for (let first = 0; first < height * width; first += CHUNK_PIXELS) {
      const count = Math.min(CHUNK_PIXELS, height * width - first);
      const numbers = [first, count, height, width, region[3] - region[1]];
      gpu.run(this.mlp, numbers, [axes, map.buffer, place, layers.weight, layers.bias, layers.last, colours], [Math.ceil((4 * count) / shareRows(this.hidden4).rows)]);
      await pause();
    }
    const skip = this.adds ? { rows: linearAxis(size[0], small[0], top, height), columns: linearAxis(size[1], small[1], left, width) } : null;
    return finish(gpu, picture, [height, width], colours, skip);
  }
}

export class Liif extends Ensemble {
  /** @param {Gpu} gpu @param {any} config a LIIFConfig @param {Tensors} tensors */
  constructor(gpu, { hidden }, tensors) {
    const { weight, bias } = layerOf(tensors, "mlp.0");
    const channels = (weight.shape[1] - 4) / 9;
    // The part of the first layer that reads the unfolded features (channel, then place of 3 x 3) is a convolution.
    const rows = Array.from({ length: hidden[0] }, (_, i) => weight.data.subarray(i * weight.shape[1], i * weight.shape[1] + 9 * channels));
    const kernel = { shape: [hidden[0], channels, 3, 3], data: join(rows) };
    const hidden4 = hidden[0] / 4;
    const layers = keepLayers(gpu, tensors, "mlp", 2, hidden.length - 1);
    super(gpu, new Convolution(gpu, [{ weight: kernel, bias }]), liifMlp({ hidden4, layers: hidden.length - 1 }), hidden4, layers, false);
    this.ofPlace = transpose(weight, 9 * channels); // (4, H): of the coordinates y, x, of the cell's y, x
  }

  /** @param {any} config a LIIFConfig */
  static refuses({ hidden }) {
    return refuseWidths(hidden, 4);
  }

  placeNumbers([y, x]) {
    const width = this.ofPlace.length / 4;
    const ofCell = Float32Array.from({ length: width }, (_, h) => y * this.ofPlace[2 * width + h] + x * this.ofPlace[3 * width + h]);
    return join([this.ofPlace.subarray(0, 2 * width), ofCell]);
  }
}

export class Lte extends Ensemble {
  /** @param {Gpu} gpu @param {any} config a LTEConfig @param {Tensors} tensors */
  constructor(gpu, { hidden }, tensors) {
    const hidden4 = hidden[0] / 4;
    const maps = new Convolution(gpu, [layerOf(tensors, "amplitude"), splitPairs(layerOf(tensors, "frequency"))]);
    const layers = keepLayers(gpu, tensors, "mlp", 0, hidden.length);
    super(gpu, maps, lteMlp({ hidden4, layers: hidden.length }), hidden4, layers, true);
    this.ofCell = tensors.get("phase.weight").data; // (frequencies, 2)
  }

  /** @param {any} config a LTEConfig */
  static refuses({ width, hidden }) {
    return refuseWidths([width, ...hidden], 8);
  }

  placeNumbers([y, x]) {
    return Float32Array.from({ length: this.ofCell.length / 2 }, (_, i) => y * this.ofCell[2 * i] + x * this.ofCell[2 * i + 1]);
  }
}

/** Why an MLP of such widths cannot be drawn here; null if it can. @param {number[]} widths @param {number} multiple */
function refuseWidths(widths, multiple) {
  if (widths.some((each) => each !== widths[0])) return "hidden layers of different widths";
  if (widths[0] % multiple) return `widths that are no multiples of ${multiple}`;
  return widths[0] > 256 ? "hidden layers of more than 256" : null;
}

/** Frequencies come as pairs y, x: all along y first, then all along x. @param {{weight: Tensor, bias: Tensor}} layer */
function splitPairs({ weight, bias }) {
  const count = bias.data.length / 2;
  const order = Array.from({ length: 2 * count }, (_, i) => (i < count ? 2 * i : 2 * (i - count) + 1));
  const size = weight.data.length / order.length;
  return {
    weight: { shape: weight.shape, data: join(order.map((i) => weight.data.subarray(i * size, (i + 1) * size))) },
    bias: { shape: bias.shape, data: Float32Array.from(order, (i) => bias.data[i]) },
  };
}
