/** DICOM files: single pictures and cines, as values for display, the way kdseg's own reader gives them. */

import { colourPlanes, displayValues } from "./dicom-values.js";
import { decodedFrame, isDecodable } from "./dicom-frames.js";
import { headerOf } from "./dicom-header.js";
import { FileProblem } from "./open-file.js";

const GREY = ["MONOCHROME1", "MONOCHROME2"];

/**
 * @param {Uint8Array} bytes
 * @param {Object} task its "modality" names what is taken; empty: any.
 * @returns {import("./open-file.js").FrameSource}
 * @throws {FileProblem} for files without an image, of another modality or colour model, or compressed in a way that
 *     cannot be unpacked here.
 */
export function openDicom(bytes, task) {
  let data;
  try {
    data = dicomParser.parseDicom(bytes);
  } catch {
    throw new FileProblem("The DICOM file is damaged or cut off.");
  }
  const header = headerOf(data);
  const { modality, rows, columns, photometric, count } = header;
  if (task.modality.length && modality && !task.modality.includes(modality)) {
    throw new FileProblem(`A ${modality} image; this student was trained on ${task.modality.join(" or ")}.`);
  }
  if (!header.pixels || !rows || !columns) throw new FileProblem(`A DICOM file without an image (${modality || "?"}).`);
  if (photometric === "YBR_FULL_422" && !header.pixels.encapsulatedPixelData) {
    throw new FileProblem("Colour at half its width is not read here. Export the picture as RGB.");
  }
  const grey = GREY.includes(photometric);
  if (!grey && !/^(RGB|YBR)/.test(photometric)) throw new FileProblem(`The colour model ${photometric} is not read here.`);
  if (!isDecodable(header)) {
    throw new FileProblem(
      `The pixels are compressed (${header.syntax}) in a way that this page does not unpack. ` +
        "Export the file uncompressed (explicit VR little endian), or use kdseg predict.",
    );
  }
  const read = async (index) => {
    const stored = await decodedFrame(data, header, index);
    return grey ? [displayValues(stored.values, header)] : colourPlanes(stored, header);
  };
  return { format: "DICOM", count, width: columns, height: rows, spacing: header.spacing, read };
}
