/** PNG, JPEG, BMP, WebP or GIF, by the browser's own decoders. */

import { FileProblem } from "./open-file.js";

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<import("./open-file.js").FrameSource>} one frame.
 * @throws {FileProblem} for content that is no such picture.
 */
export async function openPicture(bytes) {
  const { width, height, data } = await decodePicture(bytes);
  const planes = planesOf(data, width * height);
  return { format: "picture", count: 1, width, height, spacing: null, read: async () => planes };
}

/**
 * The pixels as they are stored: no colour management, nothing multiplied by the transparency.
 *
 * @param {Uint8Array} bytes
 * @returns {Promise<ImageData>}
 */
export async function decodePicture(bytes) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new FileProblem("This is no image that can be read here: DICOM, NIfTI, PNG, JPEG, BMP, WebP or GIF.");
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** One plane where every pixel is grey, three where there is colour; values from 0 to 1. */
function planesOf(data, size) {
  const planes = [0, 1, 2].map((channel) => {
    const plane = new Float32Array(size);
    for (let pixel = 0; pixel < size; pixel++) plane[pixel] = data[4 * pixel + channel] / 255;
    return plane;
  });
  const grey = planes[0].every((value, pixel) => value === planes[1][pixel] && value === planes[2][pixel]);
  return grey ? planes.slice(0, 1) : planes;
}
