/** The stored values of a DICOM frame: as they are, run-length coded, or JPEG by the browser's own decoder. */

import { FileProblem } from "./open-file.js";
import { decodePicture } from "./picture-file.js";
import { runLengthSegments } from "./run-length.js";

const PLAIN = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"];
const RUN_LENGTH = "1.2.840.10008.1.2.5";
const JPEG_BASELINE = "1.2.840.10008.1.2.4.50";

/** Whether frames of this header can be read here. */
export function isDecodable({ syntax, allocated }) {
  if (syntax === JPEG_BASELINE) return allocated === 8;
  return [...PLAIN, RUN_LENGTH].includes(syntax) && [8, 16, 32].includes(allocated);
}

/**
 * @param {Object} data of dicomParser.
 * @param {Object} header see dicom-header.js.
 * @param {number} index of the frame.
 * @returns {Promise<{values: ArrayLike<number>, planar: boolean, converted: boolean}>} values of all samples; whether
 *     those of a colour lie together; whether they are red, green and blue already.
 */
export async function decodedFrame(data, header, index) {
  const { rows, columns, samples, allocated, syntax } = header;
  const pixels = rows * columns;
  const size = pixels * samples;
  if (syntax === JPEG_BASELINE) return jpegFrame(encapsulated(data, header, index), header);
  if (syntax === RUN_LENGTH) {
    const segments = runLengthSegments(encapsulated(data, header, index), pixels, (samples * allocated) / 8);
    const byteOf = (place, byte) =>
      segments[Math.floor(place / pixels) * (allocated / 8) + byte][place % pixels];
    return { values: numbers(size, header, byteOf), planar: true, converted: false };
  }
  const start = header.pixels.dataOffset + (index * size * allocated) / 8;
  if (start + (size * allocated) / 8 > data.byteArray.length) throw new FileProblem("The DICOM file is cut off.");
  const length = allocated / 8;
  const byteOf = (place, byte) => data.byteArray[start + place * length + (header.bigEndian ? byte : length - 1 - byte)];
  return { values: numbers(size, header, byteOf), planar: header.planar === 1, converted: false };
}

/** The bytes of one frame in an encapsulated file. */
function encapsulated(data, { pixels, count }, index) {
  try {
    const { basicOffsetTable, fragments } = pixels;
    if (basicOffsetTable.length) return dicomParser.readEncapsulatedImageFrame(data, pixels, index);
    if (fragments.length === count) return dicomParser.readEncapsulatedPixelDataFromFragments(data, pixels, index);
    if (count === 1) return dicomParser.readEncapsulatedPixelDataFromFragments(data, pixels, 0, fragments.length);
    const table = dicomParser.createJPEGBasicOffsetTable(data, pixels);
    return dicomParser.readEncapsulatedImageFrame(data, pixels, index, table);
  } catch {
    throw new FileProblem(`Frame ${index + 1} of the DICOM file cannot be found; the file is damaged or cut off.`);
  }
}

async function jpegFrame(bytes, { rows, columns, samples }) {
  const picture = await decodePicture(bytes);
  if (picture.width !== columns || picture.height !== rows) {
    throw new FileProblem(`A frame of ${picture.width}×${picture.height} pixels; the header says ${columns}×${rows}.`);
  }
  const values = new Uint8Array(rows * columns * samples);
  for (let pixel = 0; pixel < rows * columns; pixel++) {
    for (let sample = 0; sample < samples; sample++) values[pixel * samples + sample] = picture.data[4 * pixel + sample];
  }
  return { values, planar: false, converted: true };
}

/**
 * Stored values from their bytes, without the bits that the header calls unused.
 *
 * @param {number} count of values.
 * @param {Object} header its bits, allocated and signed.
 * @param {(value: number, byte: number) => number} byteOf the bytes of a value, the most significant first.
 */
function numbers(count, { bits, allocated, signed }, byteOf) {
  const [length, unused] = [allocated / 8, 32 - Math.min(bits, allocated)];
  const values = signed ? new Int32Array(count) : new Uint32Array(count);
  for (let place = 0; place < count; place++) {
    let value = 0;
    for (let byte = 0; byte < length; byte++) value = (value << 8) | byteOf(place, byte);
    values[place] = signed ? (value << unused) >> unused : (value << unused) >>> unused;
  }
  return values;
}
