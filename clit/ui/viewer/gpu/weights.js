// @ts-check
// Weights as they are served, below a base address that ends in "/" (clit/exports/weights.py writes them):
//   models.json                    {"models": [entry]}: what the list of methods says (name, label, ...), and "config", the
//                                  content of the checkpoint's config.json; "encoder" and "decoder" are addresses below
//                                  the base, and not there for plain interpolation
//   encoders/<hash>.safetensors    the tensors of an encoder, which models share: head.0.weight, body.0.body.0.weight, ...
//   decoders/<name>.safetensors    those of a decoder: embed.weight, stages.0.mlp.0.weight, mlp.0.weight, ...
// Tensors are float16 or float32, with the names of the state dict without "encoder." and "decoder.". Decoders with
// attention have one more, bias.frequencies, in float32.

/** @typedef {{shape: number[], data: Float32Array}} Tensor */

/** @typedef {Map<string, Tensor>} Tensors */

/**
 * @typedef {object} ModelEntry
 * @property {string} name
 * @property {{encoder: any, decoder: any}} config
 * @property {string} [encoder]
 * @property {string} [decoder]
 */

/** Every float16 by its bits: looked up, as a checkpoint has millions. @type {Float32Array} */
let halves;

/** @param {ArrayBuffer} bytes @returns {Float32Array} */
function readHalves(bytes) {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => {
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
  const stored = new Uint16Array(bytes);
  const out = new Float32Array(stored.length);
  for (let i = 0; i < out.length; i += 1) out[i] = halves[stored[i]]; // Float32Array.from takes many times as long
  return out;
}

/** The tensors of a file: eight bytes tell the length of a header in JSON, the numbers follow. @param {ArrayBuffer} file @returns {Tensors} */
export function readSafetensors(file) {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  delete header.__metadata__;
  return new Map(
    Object.entries(header).map(([name, { dtype, shape, data_offsets: [start, stop] }]) => {
      const bytes = file.slice(8 + length + start, 8 + length + stop);
      if (dtype !== "F16" && dtype !== "F32") throw new Error(`${name} is of the type ${dtype}.`);
      return [name, { shape, data: dtype === "F16" ? readHalves(bytes) : new Float32Array(bytes) }];
    }),
  );
}

/** Weight and bias of a layer. @param {Tensors} tensors @param {string} name @returns {{weight: Tensor, bias: Tensor}} */
export const layerOf = (tensors, name) => ({ weight: tensors.get(`${name}.weight`), bias: tensors.get(`${name}.bias`) });

/** Columns from..to of a matrix (rows, columns), one after the other: (to - from, rows). @param {Tensor} matrix @param {number} [from] @param {number} [to] */
export function transpose({ shape: [rows, columns], data }, from = 0, to = columns) {
  const out = new Float32Array((to - from) * rows);
  for (let row = 0; row < rows; row += 1) for (let c = from; c < to; c += 1) out[(c - from) * rows + row] = data[row * columns + c];
  return out;
}

/** @param {Float32Array[]} parts */
export function join(parts) {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Weights by address: each file is asked for once. */
export class Library {
  /** @param {string} base */
  constructor(base) {
    this.base = base;
    /** @type {Map<string, Promise<any>>} */
    this.known = new Map();
  }

  /** @param {string} path @param {(answer: Response) => Promise<any>} read */
  fetch(path, read) {
    if (!this.known.has(path)) {
      const answer = fetch(this.base + path).then((found) => {
        if (!found.ok) throw new Error(`${path} is not to be had.`);
        return read(found);
      });
      answer.catch(() => this.known.delete(path));
      this.known.set(path, answer);
    }
    return this.known.get(path);
  }

  /** @param {string} name @returns {Promise<ModelEntry | undefined>} */
  async model(name) {
    const { models } = await this.fetch("models.json", (found) => found.json());
    return models.find((each) => each.name === name);
  }

  /** @param {string} path @returns {Promise<Tensors>} */
  tensors(path) {
    return this.fetch(path, async (found) => readSafetensors(await found.arrayBuffer()));
  }
}
