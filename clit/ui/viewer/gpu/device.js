// @ts-check
// A graphics processor through WebGPU: its buffers, its kernels, and what goes wrong with it.

/** @typedef {any} Buffer a GPUBuffer */

/** @typedef {[number, number?, number?]} Groups workgroups along x, y and z */

const [MAP_READ, COPY_SRC, COPY_DST, UNIFORM, STORAGE] = [1, 4, 8, 64, 128]; // GPUBufferUsage
const SCOPES = ["validation", "out-of-memory", "internal"];

/** One view at a time draws on it: what `make` gives lasts until `free`, what `keep` gives until it is destroyed. */
export class Gpu {
  /**
   * The fastest adapter's device, of default limits; null where there is none, or where software pretends to be one and
   * `software` does not allow that.
   * @param {{software?: boolean}} [options] @returns {Promise<Gpu | null>}
   */
  static async open({ software = false } = {}) {
    const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) return null;
    if (!software && (adapter.info?.isFallbackAdapter || adapter.isFallbackAdapter)) return null;
    return new Gpu(await adapter.requestDevice());
  }

  /** @param {any} device a GPUDevice */
  constructor(device) {
    this.device = device;
    /** @type {string | null} why the device has gone */
    this.lost = null;
    device.lost.then((/** @type {any} */ { reason, message }) => (this.lost = `${reason} ${message}`));
    /** @type {Map<string, any>} */
    this.pipelines = new Map();
    /** @type {Buffer[]} */
    this.temporary = [];
    this.encoder = null;
    this.before = Promise.resolve(); // the work submitted last
    this.answered = 0; // when the device did something last, by performance.now
  }

  /** @param {number} bytes @param {number} usage */
  create(bytes, usage) {
    return this.device.createBuffer({ size: Math.max(16, Math.ceil(bytes / 16) * 16), usage });
  }

  /** A buffer of `data`, which lasts. @param {Float32Array | Uint32Array} data @returns {Buffer} */
  keep(data) {
    const buffer = this.create(data.byteLength, STORAGE | COPY_SRC | COPY_DST);
    this.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  /** A buffer of so many numbers of four bytes, or of `data`, until `free`. @param {number | Float32Array | Uint32Array} data @returns {Buffer} */
  make(data) {
    const buffer = typeof data === "number" ? this.create(4 * data, STORAGE | COPY_SRC | COPY_DST) : this.keep(data);
    this.temporary.push(buffer);
    return buffer;
  }

  /** Let a buffer that `make` gave last. @param {Buffer} buffer */
  retain(buffer) {
    this.temporary = this.temporary.filter((each) => each !== buffer);
    return buffer;
  }

  /**
   * Note a run of a kernel's `main`. `numbers` are its uniform (binding 0, whole numbers; in a list of one a float);
   * the storage buffers follow in their order.
   * @param {string} code WGSL @param {(number | [number])[]} numbers @param {Buffer[]} buffers @param {Groups} groups
   */
  run(code, numbers, buffers, [x, y = 1, z = 1]) {
    const words = new Int32Array(Math.ceil(numbers.length / 4) * 4);
    const floats = new Float32Array(words.buffer);
    numbers.forEach((each, i) => (Array.isArray(each) ? (floats[i] = each[0]) : (words[i] = each)));
    const uniform = this.create(words.byteLength, UNIFORM | COPY_DST);
    this.temporary.push(uniform);
    this.device.queue.writeBuffer(uniform, 0, words);
    const pipeline = this.pipelineOf(code);
    const layout = pipeline.getBindGroupLayout(0);
    const entries = [uniform, ...buffers].map((buffer, binding) => ({ binding, resource: { buffer } }));
    this.encoder ??= this.device.createCommandEncoder();
    const pass = this.encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this.device.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(x, y, z);
    pass.end();
  }

  /** @param {string} code */
  pipelineOf(code) {
    if (!this.pipelines.has(code)) {
      const module = this.device.createShaderModule({ code });
      this.pipelines.set(code, this.device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } }));
    }
    return this.pipelines.get(code);
  }

  /** Note a copy of `count` floats. @param {Buffer} from @param {number} start @param {Buffer} to @param {number} at @param {number} count */
  copy(from, start, to, at, count) {
    this.encoder ??= this.device.createCommandEncoder();
    this.encoder.copyBufferToBuffer(from, 4 * start, to, 4 * at, 4 * count);
  }

  /** Start what was noted, and wait for what was started before it: so the device is never idle, and never far ahead. */
  async flush() {
    if (!this.encoder) return;
    this.device.queue.submit([this.encoder.finish()]);
    this.encoder = null;
    const { before } = this;
    this.before = this.device.queue.onSubmittedWorkDone();
    await before;
    this.answered = performance.now();
    if (this.lost !== null) throw new Error(`The device is lost: ${this.lost}`);
  }

  /** The first `count` numbers of four bytes of a buffer. @param {Buffer} buffer @param {number} count @returns {Promise<ArrayBuffer>} */
  async read(buffer, count) {
    const copy = this.create(4 * count, MAP_READ | COPY_DST);
    this.temporary.push(copy);
    this.copy(buffer, 0, copy, 0, count);
    await this.flush();
    await copy.mapAsync(1); // GPUMapMode.READ
    this.answered = performance.now();
    return copy.getMappedRange().slice(0, 4 * count);
  }

  /**
   * What `work` resolves to; afterwards its buffers are freed. Throws where the device refuses anything, has too little
   * memory or goes away, whatever `work` threw.
   * @template T @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async guard(work) {
    for (const scope of SCOPES) this.device.pushErrorScope(scope);
    let result, fault, refused;
    try {
      result = await work();
    } catch (error) {
      fault = error;
    }
    for (const found of SCOPES.map(() => this.device.popErrorScope())) {
      const error = await found.catch((/** @type {any} */ reason) => reason);
      refused ??= error && new Error(error.message);
    }
    this.free();
    if (this.lost !== null) throw new Error(`The device is lost: ${this.lost}`);
    if (refused ?? fault) throw refused ?? fault;
    return /** @type {T} */ (result);
  }

  /** What `make` gave goes; what was started still ends. */
  free() {
    this.encoder = null;
    for (const buffer of this.temporary.splice(0)) buffer.destroy();
  }
}
