// @ts-check
// What models make of a picture, on the device: the open picture, its features, and parts of its outputs.

import { Cascade } from "./cascade.js";
import { splitScale } from "./chain.js";
import { Encoder, Features } from "./encoder.js";
import { Liif, Lte } from "./ensemble.js";
import { isGrey, normalise } from "./picture.js";
import { Plain } from "./plain.js";
import { Library } from "./weights.js";

/** @import { Stage } from "../engine.js" */
/** @import { Part } from "./cascade.js" */
/** @import { Pair } from "./chain.js" */
/** @import { Gpu } from "./device.js" */
/** @import { Pause } from "./encoder.js" */
/** @import { GpuPicture } from "./picture.js" */

/**
 * @typedef {object} Wanted
 * @property {string} model
 * @property {Pair} size of the whole output, rows and columns
 * @property {[number, number, number, number]} window top, left, height, width
 * @property {string} chain
 * @property {number | null} stages stop a cascade after so many
 */

const DECODERS = /** @type {Record<string, any>} */ ({ interpolation: Plain, liif: Liif, lte: Lte, clit: Cascade });
const MAP_FLOATS = 24e6; // of the largest map: a buffer may have 128 MB
const TILE_SIDE = 512; // at most; so that a view which nobody wants any more ends soon

/** Nobody wants to know any more. */
class Stale extends Error {}

/** A model of a kind that is not drawn here. */
class Unsupported extends Error {
  isUnsupported = true;
}

export class GpuRenderer {
  /** @param {Gpu} gpu @param {string} base address of the weights, see weights.js */
  constructor(gpu, base) {
    this.gpu = gpu;
    this.library = new Library(base);
    /** @type {Map<string, Promise<{decoder: any, encoder: string | undefined}>>} */
    this.models = new Map();
    /** @type {Map<string, Promise<Encoder>>} */
    this.encoders = new Map();
    /** @type {Map<string, Features>} of the open picture, by encoder */
    this.features = new Map();
    /** @type {GpuPicture | null} */
    this.picture = null;
    this.turn = Promise.resolve(); // one after the other
  }

  /** Draw a picture from now on. @param {Uint8ClampedArray} rgba @param {Pair} size rows and columns */
  open(rgba, size) {
    return this.inTurn(async () => {
      this.close();
      this.picture = { buffer: this.gpu.keep(normalise(rgba)), size, isGrey: isGrey(rgba) };
    });
  }

  close() {
    this.forget();
    this.picture?.buffer.destroy();
    this.picture = null;
  }

  /** The features go: they are made anew when they are read next. */
  forget() {
    for (const each of this.features.values()) each.destroy();
    this.features.clear();
  }

  /**
   * What `work` resolves to, by `Gpu.guard`. After a fault of the device nobody knows what has become of features that were
   * made meanwhile, so they are forgotten. @template T @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async guard(work) {
    try {
      return await this.gpu.guard(work);
    } catch (error) {
      if (!(error instanceof Stale)) this.forget();
      throw error;
    }
  }

  /**
   * RGBA bytes of a part of what a model makes of the open picture, its milliseconds, and the factors of a cascade's stages;
   * null as soon as `isOver`. Throws `Unsupported`, and where the device fails. `share` hears how much is done, 0..1.
   * @param {Wanted} wanted @param {() => boolean} [isOver] @param {(done: number) => void} [share]
   */
  async draw(wanted, isOver = () => false, share = () => {}) {
    const [height, width] = wanted.window.slice(2);
    const pixels = new Uint8ClampedArray(4 * height * width);
    const drawn = await this.render(wanted, isOver, share, async ({ bytes }, tile) => {
      const found = new Uint8Array(await this.gpu.read(bytes, tile[2] * tile[3]));
      place(found, pixels, tile, wanted.window);
    });
    return drawn && { pixels, ...drawn };
  }

  /** RGB and 1 of the same, not clipped. @param {Wanted} wanted @returns {Promise<Float32Array | null>} */
  async colours(wanted) {
    const [height, width] = wanted.window.slice(2);
    const out = new Float32Array(4 * height * width);
    const drawn = await this.render(wanted, () => false, () => {}, async ({ colours }, tile) => {
      place(new Float32Array(await this.gpu.read(colours, 4 * tile[2] * tile[3])), out, tile, wanted.window);
    });
    return drawn && out;
  }

  /** What a pixel of LIT or CLIT looked at, and its colour in bytes. @param {Omit<Wanted, "window">} wanted @param {number} row @param {number} column @returns {Promise<{stages: Stage[], rgb: number[]} | null>} */
  async attend(wanted, row, column) {
    const window = /** @type {[number, number, number, number]} */ ([row, column, 1, 1]);
    const drawn = await this.draw({ ...wanted, window });
    const { decoder, encoder } = await this.load(wanted.model);
    return this.inTurn(async () => {
      if (!drawn || !this.picture) return null;
      const { part } = this.partOf({ ...wanted, window }, decoder);
      const pause = () => this.gpu.flush();
      const stages = await this.guard(async () => decoder.attend(await this.featuresOf(encoder, decoder.reads(part), pause), part));
      return { stages, rgb: [...drawn.pixels.slice(0, 3)] };
    });
  }

  /**
   * @param {Wanted} wanted @param {() => boolean} isOver @param {(done: number) => void} share
   * @param {(drawn: any, tile: [number, number, number, number]) => Promise<void>} use
   */
  async render(wanted, isOver, share, use) {
    const { decoder, encoder } = await this.load(wanted.model);
    return this.whileWanted(isOver, async (pause) => {
      const start = performance.now();
      const { part, factors } = this.partOf(wanted, decoder);
      const tiles = cut(wanted.window, Math.min(TILE_SIDE, Math.floor(Math.sqrt(MAP_FLOATS / decoder.mapsWidth)) - 10));
      for (const [i, window] of tiles.entries()) {
        await this.guard(async () => {
          const tile = { ...part, window };
          const read = decoder.reads(tile);
          const features = read && (await this.featuresOf(encoder, read, pause));
          await use(await decoder.draw(this.picture, features, tile, pause), window);
        });
        share((i + 1) / tiles.length);
      }
      return { milliseconds: performance.now() - start, factors };
    });
  }

  /**
   * Do something to the open picture, in its turn. It pauses between its parts; as soon as `isOver`, it ends there, and there
   * is null. @template T @param {() => boolean} isOver @param {(pause: Pause) => Promise<T>} work @returns {Promise<T | null>}
   */
  whileWanted(isOver, work) {
    return this.inTurn(async () => {
      if (isOver() || !this.picture) return null;
      const pause = async () => {
        await this.gpu.flush();
        if (isOver()) throw new Stale();
      };
      try {
        return await work(pause);
      } catch (error) {
        if (error instanceof Stale) return null;
        throw error;
      }
    });
  }

  /** @param {Wanted} wanted @param {any} decoder @returns {{part: Part, factors: number[]}} */
  partOf({ size, window, chain, stages }, decoder) {
    const count = decoder.config?.stages ?? 1;
    const factors = splitScale(size, this.picture.size, count, chain);
    const part = { small: this.picture.size, size, window, factors: factors.slice(0, stages ?? count) };
    return { part, factors: count === 1 ? [] : factors.map((pair) => Math.max(...pair)) };
  }

  async featuresOf(encoder, region, pause) {
    if (!this.features.has(encoder)) this.features.set(encoder, new Features(await this.encoders.get(encoder), this.picture));
    return this.features.get(encoder).over(region, pause);
  }

  /** @param {string} name */
  load(name) {
    if (!this.models.has(name)) {
      const loaded = this.read(name);
      loaded.catch(() => this.models.delete(name));
      this.models.set(name, loaded);
    }
    return this.models.get(name);
  }

  /** @param {string} name */
  async read(name) {
    const entry = await this.library.model(name);
    const config = entry?.config;
    const Decoder = DECODERS[config?.decoder.name];
    const reason = !Decoder ? "an unknown decoder" : Decoder.refuses?.(config.decoder) ?? Encoder.refuses(config.encoder);
    if (reason) throw new Unsupported(`${name} has ${reason}.`);
    if (entry.encoder && !this.encoders.has(entry.encoder)) {
      const tensors = this.library.tensors(entry.encoder);
      const made = tensors.then((found) => this.inTurn(async () => new Encoder(this.gpu, config.encoder, found)));
      made.catch(() => this.encoders.delete(entry.encoder));
      this.encoders.set(entry.encoder, made);
    }
    await this.encoders.get(entry.encoder);
    const tensors = entry.decoder && (await this.library.tensors(entry.decoder));
    return { decoder: await this.inTurn(async () => new Decoder(this.gpu, config.decoder, tensors)), encoder: entry.encoder };
  }

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  inTurn(work) {
    const answer = this.turn.then(work);
    this.turn = answer.then(() => {}, () => {});
    return answer;
  }
}

/** Tiles of a window: top, left, height, width. @param {[number, number, number, number]} window @param {number} side @returns {[number, number, number, number][]} */
function cut([top, left, height, width], side) {
  /** @type {[number, number, number, number][]} */
  const tiles = [];
  for (let y = top; y < top + height; y += side) {
    for (let x = left; x < left + width; x += side) {
      tiles.push([y, x, Math.min(side, top + height - y), Math.min(side, left + width - x)]);
    }
  }
  return tiles;
}

/** Copy a tile, four numbers a pixel, to its place in a window. @param {Uint8Array | Float32Array} from @param {Uint8ClampedArray | Float32Array} to @param {number[]} tile @param {number[]} window */
function place(from, to, [top, left, height, width], window) {
  for (let row = 0; row < height; row += 1) {
    to.set(from.subarray(4 * row * width, 4 * (row + 1) * width), 4 * ((top - window[0] + row) * window[3] + left - window[1]));
  }
}
