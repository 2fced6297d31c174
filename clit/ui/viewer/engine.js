// @ts-check
// What answers for pictures: an engine opens one, gives views of it, and tells what a pixel looked at, where two methods
// differ and how near they come to the truth. The server is one; a site of files and a page that was saved have their own.

/** @import { Size } from "./numbers.js" */

/** @typedef {{top: number, left: number, height: number, width: number}} Window whole output pixels */

/** @typedef {{row: number, column: number, scale: number, methods: string[]}} Opening row and column in LR pixels */

/**
 * @typedef {object} Picture
 * @property {string} id
 * @property {string} whole the picture it was made smaller from, else its own id
 * @property {string} name
 * @property {number} height
 * @property {number} width
 * @property {{title?: string, author?: string, licence?: string}} credit
 * @property {string} notice
 * @property {Opening | null} place where an example opens
 * @property {Size} original of what ground truth is made from: the same picture, which may be larger
 * @property {number | null} truth by how much the original was made smaller, where the picture has its ground truth
 * @property {ImageBitmap} bitmap
 * @property {string | null} example the name of the example that it is
 */

/** @typedef {{error: string, expired?: boolean}} Failure one sentence for a person */

/**
 * What a visit begins with.
 * @typedef {object} Offer
 * @property {string | null} token of the visit, where a server keeps it
 * @property {any[]} models
 * @property {{name: string, title: string, thumbnail: string}[]} examples thumbnail: WebP in base64
 * @property {Record<string, string[]>} kinds what can be made -> suffixes of its files
 * @property {any} limits
 * @property {string | null} duplicate where the page can be copied to one's own account
 */

/**
 * Where a picture comes from: an example by name; a file, here or as it was sent; the open one made smaller by a scale, or,
 * with null, as it was before.
 * @typedef {{example: string} | {file: File} | {path: string, name: string} | {truth: number | null, example: string | null}} Source
 */

/**
 * A part of what a method makes of the open picture.
 * @typedef {object} ViewRequest
 * @property {string} model a method's own name
 * @property {number | null} stages stop a cascade after so many
 * @property {boolean} error how far it is from the ground truth
 * @property {"exact" | "preview" | "ahead"} kind "ahead" makes way for all others
 * @property {string} chain
 * @property {string} [paint] one of PAINTS, in place of colours: where a `head` looks, or the output made small again, whose
 *   pixels are those of the small picture
 * @property {number} [head]
 * @property {number} scale
 * @property {Size | null} size of the whole output where that does not follow from the scale
 * @property {Window} window
 * @property {number} wanted number of this view; a newer one makes it stale
 */

/**
 * @typedef {object} View
 * @property {ImageBitmap} bitmap
 * @property {Size} size of the whole output
 * @property {Window} window
 * @property {number} milliseconds
 * @property {number[]} factors of a cascade's stages
 * @property {[number, number] | null} span of the entropies painted, bits
 * @property {number | null} psnr dB, of an output made small again; null where that is the small picture itself
 * @property {string} [by] who drew it: "your GPU", "the server"
 */

/**
 * @typedef {object} PixelRequest
 * @property {string[]} models methods' own names
 * @property {string} chain
 * @property {number} scale
 * @property {Size | null} size
 * @property {number} row
 * @property {number} column
 * @property {boolean} influence whether that is asked for too
 */

/** @typedef {{model: string, stages: number | null}} MethodAsked a method's own name; stop a cascade after so many stages */

/** @typedef {{methods: [MethodAsked, MethodAsked], scale: number, chain: string}} DifferenceRequest */

/** @typedef {Size & {top: number, left: number, difference: number}} DifferencePlace in LR pixels, and in 255ths of brightness */

/** @typedef {{scale: number, places: DifferencePlace[]}} Differences compared at a scale; the largest first, none overlaps */

/** @typedef {{model: string, scale: number, chain: string}} ScoreRequest */

/** @typedef {{scale: number, psnr: number | null, ssim: number, psnr_rgb: number | null}} Score of a whole picture; dB, null where equal */

/** @typedef {{models: string[], scale: number, size: Size | null, chain: string, window: Window}} SourcesRequest */

/**
 * Arrays are (heads, n, n), influence (n, n) if it was asked for, latents (n, n, 2) centres as pixel indices (y, x).
 * @typedef {object} Stage
 * @property {number[][][]} weights
 * @property {number[][][] | null} content
 * @property {number[][][] | null} position
 * @property {number[][] | null} influence
 * @property {[number, number][][]} latents
 * @property {boolean[][]} inside
 * @property {[number, number]} grid rows and columns of latents
 */

/** @typedef {{kind: "attention" | "ensemble", size: [number, number], pixel: [number, number], rgb: number[], stages: Stage[]}} Seen */

/**
 * What a pixel looked at, with what was asked.
 * @typedef {{row: number, column: number, size: Size, scale: number, chain: string, answer: Seen}} Look
 */

/**
 * A view at hand, and how it came.
 * @typedef {object} Frame
 * @property {"preview" | "exact" | "overview"} pass
 * @property {number} scale
 * @property {ImageBitmap} bitmap
 * @property {Size} size
 * @property {Window} window
 * @property {number} [wanted]
 * @property {number} [milliseconds]
 * @property {number[]} [factors]
 * @property {[number, number] | null} [span]
 * @property {number | null} [psnr]
 * @property {{size: Size, window: Window}} [covers] the part of the output that it stands for, where its own pixels are those
 *   of the small picture
 * @property {string} [by]
 * @property {number} [trip] milliseconds from the question to the screen
 */

/** @typedef {{model: string, stages: number | null, error: boolean, share: number}} Progress of a view; share: 0..1 is done */

/**
 * A question that must wait may be given up: `isOver` says that nobody wants to know any more. Of the engine in use none
 * rejects, see `useEngine`.
 * @typedef {object} Engine
 * @property {() => Promise<Offer | Failure>} begin
 * @property {(file: File) => Promise<Source | Failure>} send
 * @property {(source: Source, isOver: () => boolean) => Promise<Picture | Failure>} open
 * @property {(request: ViewRequest, isOver: () => boolean) => Promise<View | Failure | null>} view null where a newer request
 *   made it stale
 * @property {() => Promise<Progress[]>} progress of views that are being drawn; those of which nothing is done yet are not there
 * @property {(request: PixelRequest) => Promise<Map<string, Seen> | Failure | null>} inspect by method; null where the
 *   picture has changed
 * @property {(request: DifferenceRequest) => Promise<Differences | Failure | null>} differences where two methods differ most;
 *   null where the picture has changed
 * @property {(request: ScoreRequest) => Promise<Score | Failure | null>} score null where the picture has changed
 * @property {(request: SourcesRequest) => Promise<{sources: Record<string, any>} | Failure>} sources what attention is computed
 *   from in a page that was saved, see `readSource`
 */

const FAULT = { error: "This could not be done: try again, and load the page again where that does not help." };

/** A question whose fault is an answer too: whoever waits for it goes on. @param {(...asked: any[]) => Promise<any>} ask @param {any} fault */
const mended = (ask, fault) => (...asked) =>
  ask(...asked).catch((error) => {
    console.warn(error);
    return fault;
  });

/** @type {Engine} */
export let engine;

/** @param {Engine} chosen which is asked from now on */
export function useEngine(chosen) {
  const questions = Object.entries(chosen).map(([name, ask]) => [name, mended(ask, name === "progress" ? [] : FAULT)]);
  engine = /** @type {any} */ (Object.fromEntries(questions));
}
