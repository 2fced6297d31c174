// @ts-check
// Bilinear and bicubic interpolation on the device.

import { finish } from "./picture.js";
import { cubicAxis, linearAxis } from "./tables.js";

/** @import { Part } from "./cascade.js" */
/** @import { Gpu } from "./device.js" */
/** @import { GpuPicture } from "./picture.js" */

export class Plain {
  mapsWidth = 4;

  /** @param {Gpu} gpu @param {{kernel: string}} config */
  constructor(gpu, { kernel }) {
    this.gpu = gpu;
    this.axis = kernel === "bicubic" ? cubicAxis : linearAxis;
  }

  /** It reads no features. */
  reads() {
    return null;
  }

  /** Colours and bytes of a part, until `free` of the device. @param {GpuPicture} picture @param {null} _ @param {Part} part */
  async draw(picture, _, { small, size, window: [top, left, height, width] }) {
    const [rows, columns] = [this.axis(size[0], small[0], top, height), this.axis(size[1], small[1], left, width)];
    return finish(this.gpu, picture, [height, width], null, { rows, columns });
  }
}
