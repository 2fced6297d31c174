// @ts-check
// EDSR: the features that all methods read. They are made in parts, as views need them, and kept.

import { clip, Convolution, grow, sides } from "./convolve.js";
import { layerOf } from "./weights.js";

/** @import { GpuMap, Region } from "./convolve.js" */
/** @import { Buffer, Gpu } from "./device.js" */
/** @import { GpuPicture } from "./picture.js" */
/** @import { Tensors } from "./weights.js" */

/** Called between parts of the work: it lets the device do them, and throws if nobody wants the rest. @typedef {() => Promise<void>} Pause */

const EVERYWHERE = /** @type {[number, number]} */ ([1e9, 1e9]); // what an encoder sees has no outside: it is zero there by itself
const WHOLE_PIXELS = 65_536; // a picture of up to so many is encoded at once
const PART_SIDE = 160; // of the parts of larger ones, in pixels
const KEPT_FLOATS = 64e6; // of all parts

/** A head, residual blocks x + conv(ReLU(conv(x))), and a convolution whose result is added to the head's. */
export class Encoder {
  /** @param {Gpu} gpu @param {{width: number, blocks: number}} config @param {Tensors} tensors */
  constructor(gpu, { width, blocks }, tensors) {
    this.gpu = gpu;
    this.width = width;
    this.reach = 2 * blocks + 2; // how far a feature sees
    this.head = new Convolution(gpu, [layerOf(tensors, "head.0")]);
    this.blocks = Array.from({ length: blocks }, (_, i) => [
      new Convolution(gpu, [layerOf(tensors, `body.${i}.body.0`)], { relu: true }),
      new Convolution(gpu, [layerOf(tensors, `body.${i}.body.2`)]),
    ]);
    this.last = new Convolution(gpu, [layerOf(tensors, `body.${blocks}`)]);
  }

  /** Why an encoder cannot be drawn here; null if it can. @param {{name: string, width: number}} config */
  static refuses({ name, width }) {
    if (name === "none") return null;
    return name !== "edsr-baseline" ? `the encoder ${name}` : width % 4 ? "a width that is no multiple of 4" : null;
  }

  /** Features over a region inside the picture, until it is destroyed. @param {GpuPicture} picture @param {Region} region @param {Pause} pause @returns {Promise<GpuMap>} */
  async encode(picture, region, pause) {
    const { gpu } = this;
    const seen = clip(grow(region, this.reach), picture.size);
    const whole = /** @type {Region} */ ([0, 0, ...picture.size]);
    const image = { buffer: cut(gpu, { buffer: picture.buffer, region: whole }, seen, 4), region: seen };
    const start = this.head.over(image, seen, EVERYWHERE);
    let body = start;
    for (const [first, second] of this.blocks) {
      body = second.over(first.over(body, seen, EVERYWHERE), seen, EVERYWHERE, body);
      await pause();
    }
    const buffer = cut(gpu, this.last.over(body, seen, EVERYWHERE, start), region, this.width);
    await gpu.flush(); // what is kept must have been started
    return { buffer: gpu.retain(buffer), region };
  }
}

/** A part of a map as a buffer of its own. @param {Gpu} gpu @param {GpuMap} map @param {Region} part @param {number} width channels @returns {Buffer} */
function cut(gpu, map, part, width) {
  const [height, columns] = sides(part);
  const buffer = gpu.make(height * columns * width);
  place(gpu, map, { buffer, region: part }, width);
  return buffer;
}

/** Copy what two maps share. @param {Gpu} gpu @param {GpuMap} from @param {GpuMap} to @param {number} width channels */
function place(gpu, from, to, width) {
  const top = Math.max(from.region[0], to.region[0]);
  const left = Math.max(from.region[1], to.region[1]);
  const bottom = Math.min(from.region[2], to.region[2]);
  const right = Math.min(from.region[3], to.region[3]);
  const at = ({ region }, y) => ((y - region[0]) * (region[3] - region[1]) + left - region[1]) * width;
  for (let y = top; y < bottom; y += 1) gpu.copy(from.buffer, at(from, y), to.buffer, at(to, y), (right - left) * width);
}

/** The features of a picture by one encoder. */
export class Features {
  /** @param {Encoder} encoder @param {GpuPicture} picture */
  constructor(encoder, picture) {
    this.encoder = encoder;
    this.picture = picture;
    const [height, width] = picture.size;
    this.side = height * width <= WHOLE_PIXELS ? Math.max(height, width) : PART_SIDE;
    /** @type {Map<string, GpuMap>} used last comes last */
    this.parts = new Map();
  }

  /** The features over a region inside the picture, until `free` of the device. @param {Region} region @param {Pause} pause @returns {Promise<GpuMap>} */
  async over(region, pause) {
    const { gpu, width } = this.encoder;
    const { side, picture } = this;
    const [height, columns] = sides(region);
    const out = { buffer: gpu.make(height * columns * width), region };
    for (let top = Math.floor(region[0] / side) * side; top < region[2]; top += side) {
      for (let left = Math.floor(region[1] / side) * side; left < region[3]; left += side) {
        place(gpu, await this.part(clip([top, left, top + side, left + side], picture.size), pause), out, width);
        await pause(); // before a part that was copied may be forgotten
      }
    }
    return out;
  }

  /** @param {Region} region @param {Pause} pause */
  async part(region, pause) {
    const name = region.join(" ");
    const part = this.parts.get(name) ?? (await this.encoder.encode(this.picture, region, pause));
    this.parts.delete(name);
    const area = sides(region)[0] * sides(region)[1];
    const most = Math.max(1, Math.floor(KEPT_FLOATS / (area * this.encoder.width)));
    for (const [old, { buffer }] of [...this.parts].slice(0, Math.max(0, this.parts.size + 1 - most))) {
      buffer.destroy();
      this.parts.delete(old);
    }
    this.parts.set(name, part);
    return part;
  }

  destroy() {
    for (const { buffer } of this.parts.values()) buffer.destroy();
    this.parts.clear();
  }
}
