// @ts-check
// Pictures as they are sent: in base64, to and fro.

/** @param {string} base64 @param {string} type @returns {Promise<ImageBitmap>} with its very pixels */
export async function decodePicture(base64, type) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at); // Uint8Array.from takes ten times as long
  return createImageBitmap(new Blob([bytes], { type }), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

/** @param {HTMLCanvasElement} canvas @returns {Promise<Blob>} */
export const encodePng = (canvas) => new Promise((done) => canvas.toBlob(done, "image/png"));

/** @param {Blob} blob @returns {Promise<string>} its bytes in base64 */
export const toBase64 = (blob) =>
  new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result).split(",")[1]);
    reader.onerror = fail;
    reader.readAsDataURL(blob);
  });
