/** What a file is, by its content, and its frames. */

import { openDicom } from "./dicom-file.js";
import { openNifti } from "./nifti-file.js";
import { openPicture } from "./picture-file.js";

/**
 * The frames of a file, read one at a time.
 *
 * @typedef {Object} FrameSource
 * @property {string} format "DICOM", "NIfTI" or "picture".
 * @property {number} count of frames.
 * @property {number} width in pixels.
 * @property {number} height in pixels.
 * @property {?number[]} spacing mm along a row and along a column; null where it is not known.
 * @property {(index: number) => Promise<Float32Array[]>} read one plane of grey or three of colour, row by row, 0 is
 *     black and 1 is white as the file's depth or display window says.
 */

/** Something wrong with a file, in a sentence for the reader. */
export class FileProblem extends Error {}

/**
 * Open a DICOM, NIfTI or picture file.
 *
 * @param {File} file
 * @param {Object} task the student's task.json.
 * @returns {Promise<FrameSource>}
 * @throws {FileProblem}
 */
export async function openFile(file, task) {
  let bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes.length === 0) throw new FileProblem("The file is empty.");
  if (hasText(bytes, 128, "DICM")) return openDicom(bytes, task);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = await unpacked(bytes);
  if (["n+1", "ni1"].some((mark) => hasText(bytes, 344, mark)) || hasText(bytes, 4, "n+2")) return openNifti(bytes);
  if (/\.(dcm|dicom|ima)$/i.test(file.name)) {
    throw new FileProblem("This is no DICOM file as archives export it: the mark “DICM” after 128 bytes is missing.");
  }
  return openPicture(bytes);
}

function hasText(bytes, start, text) {
  return [...text].every((letter, place) => bytes[start + place] === letter.charCodeAt(0));
}

async function unpacked(bytes) {
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new FileProblem("The compressed file is damaged or cut off.");
  }
}
