/** NIfTI-1 and NIfTI-2, of either byte order: one picture (W, H), or several, (W, H, frames) or (W, H, 1, frames). */

import { FileProblem } from "./open-file.js";

/** Data type in the header → bytes of a value, how it is read, whether it is unsigned. */
const TYPES = {
  2: [1, "getUint8", true],
  4: [2, "getInt16", false],
  8: [4, "getInt32", false],
  16: [4, "getFloat32", false],
  64: [8, "getFloat64", false],
  256: [1, "getInt8", false],
  512: [2, "getUint16", true],
  768: [4, "getUint32", true],
};

/**
 * @param {Uint8Array} bytes unpacked.
 * @returns {import("./open-file.js").FrameSource} its axes are kept as stored.
 * @throws {FileProblem} for other shapes and types of values, and a file that is cut off.
 */
export function openNifti(bytes) {
  const { sizes, spacing, type, slope, intercept, start, little, view } = header(bytes);
  const shape = sizes.length === 4 && sizes[2] === 1 ? [sizes[0], sizes[1], sizes[3]] : sizes;
  if (shape.length < 2 || shape.length > 3 || shape.some((side) => side < 1)) {
    throw new FileProblem(`An array of ${sizes.join("×")} is no picture and no series of pictures.`);
  }
  const [width, height, count = 1] = shape;
  const size = width * height;
  if (!(type in TYPES)) throw new FileProblem(`Values of the NIfTI type ${type} cannot be read here.`);
  const [length, getter, unsigned] = TYPES[type];
  if (start + length * size * count > bytes.length) throw new FileProblem("The NIfTI file is cut off.");
  const scaled = slope !== 0 && !(slope === 1 && intercept === 0);
  const values = (index) => {
    const frame = new Float64Array(size);
    for (let pixel = 0; pixel < size; pixel++) {
      const stored = view[getter](start + length * (index * size + pixel), little);
      frame[pixel] = scaled ? stored * slope + intercept : stored;
    }
    return frame;
  };
  const [low, high] = unsigned && !scaled ? [0, 256 ** length - 1] : naturalLimits(values, count);
  const read = async (index) => [Float32Array.from(values(index), (value) => clipped((value - low) / (high - low)))];
  return { format: "NIfTI", count, width, height, spacing, read };
}

/** What is needed of either header; see nifti1.h and nifti2.h. */
function header(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = [348, 540].includes(view.getInt32(0, true));
  const second = view.getInt32(0, little) === 540;
  const whole = (place) => Number(second ? view.getBigInt64(place, little) : view.getInt16(place, little));
  const real = (place) => (second ? view.getFloat64(place, little) : view.getFloat32(place, little));
  const [dimensions, voxel, step] = second ? [16, 104, 8] : [40, 76, 2];
  const sizes = Array.from({ length: Math.min(whole(dimensions), 7) }, (_, axis) => whole(dimensions + step * (axis + 1)));
  while (sizes.length > 2 && sizes.at(-1) === 1) sizes.pop();
  const wide = second ? 8 : 4;
  const spacing = [real(voxel + wide), real(voxel + 2 * wide)];
  return {
    view,
    little,
    sizes,
    // 1 × 1 is what programs write that do not know it
    spacing: spacing.every((length) => length === 1) ? null : spacing,
    type: view.getInt16(second ? 12 : 70, little),
    slope: real(second ? 176 : 112) || 0,
    intercept: real(second ? 184 : 116) || 0,
    start: second ? Number(view.getBigInt64(168, little)) : view.getFloat32(108, little),
  };
}

/** Black and white of values without a depth: 0 to 1, 0 to 255, or from the least to the greatest of the file. */
function naturalLimits(values, count) {
  let [least, greatest] = [Infinity, -Infinity];
  for (let index = 0; index < count; index++) {
    for (const value of values(index)) {
      if (!Number.isFinite(value)) throw new FileProblem("The image has values that are no numbers.");
      if (value < least) least = value;
      if (value > greatest) greatest = value;
    }
  }
  for (const high of [1, 255]) if (least >= 0 && greatest <= high) return [0, high];
  return [least, greatest];
}

const clipped = (value) => Math.min(Math.max(value, 0), 1);
