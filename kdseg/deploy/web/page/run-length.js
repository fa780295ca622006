/** The run-length code of DICOM (PackBits, PS3.5 Annex G). */

import { FileProblem } from "./open-file.js";

/** The code that means nothing. */
const NOTHING = -128;

/**
 * @param {Uint8Array} bytes of one frame.
 * @param {number} pixels of the frame.
 * @param {number} count of segments that the header of the file makes us expect.
 * @returns {Uint8Array[]} one byte of every pixel in each: of each colour the most significant first.
 * @throws {FileProblem} when the code is damaged or cut off.
 */
export function runLengthSegments(bytes, pixels, count) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64 || view.getUint32(0, true) !== count) throw new FileProblem("The run-length code is damaged.");
  const starts = Array.from({ length: count }, (_, segment) => view.getUint32(4 * (segment + 1), true));
  return starts.map((start, segment) => unpacked(view, start, starts[segment + 1] ?? bytes.length, pixels));
}

function unpacked(view, start, end, pixels) {
  const decoded = new Uint8Array(pixels);
  let [from, pixel] = [start, 0];
  while (pixel < pixels && from + 1 < end) {
    const code = view.getInt8(from++);
    if (code === NOTHING) continue;
    const repeated = code < 0;
    for (let step = 0; step <= Math.abs(code) && pixel < pixels; step++) {
      if (from + (repeated ? 0 : step) >= end) break;
      decoded[pixel++] = view.getUint8(from + (repeated ? 0 : step));
    }
    from += repeated ? 1 : code + 1;
  }
  if (pixel < pixels) throw new FileProblem("The run-length code is cut off.");
  return decoded;
}
