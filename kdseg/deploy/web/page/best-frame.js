/** Which frame of a cine shows the most contrast-filled vessel; the rule of kdseg.data.frames.best_frame. */

import { grey } from "./prepare.js";

const JUDGED_SIZE = 256;
const WIDEST_VESSEL = 1 / 17;
const SMOOTHED = 4;

/**
 * @param {import("./open-file.js").FrameSource} source
 * @param {(index: number) => Promise<boolean>} goOn asked before each frame.
 * @returns {Promise<number>} its index.
 */
export async function bestFrame(source, goOn) {
  let [best, most] = [0, -Infinity];
  for (let index = 0; index < source.count && (await goOn(index)); index++) {
    const contrast = vesselContrast(grey(await source.read(index)), source.width, source.height);
    if (contrast > most) [best, most] = [index, contrast];
  }
  return best;
}

/** The mean of the black top-hat of the reduced frame: what is dark and narrower than a wide vessel. */
function vesselContrast(plane, width, height) {
  const factor = Math.max(1, roundHalfEven(Math.max(width, height) / JUDGED_SIZE));
  const [columns, rows] = [Math.floor(width / factor), Math.floor(height / factor)];
  const small = new Float64Array(columns * rows);
  for (let row = 0; row < rows * factor; row++) {
    for (let column = 0; column < columns * factor; column++) {
      const place = Math.floor(row / factor) * columns + Math.floor(column / factor);
      small[place] += plane[row * width + column] / factor ** 2;
    }
  }
  const kernel = gaussian();
  const weighted = (sum, value, place) => sum + value * kernel[place];
  const smoothed = along(small, columns, rows, -SMOOTHED, SMOOTHED, weighted, 0);
  const size = Math.max(3, roundHalfEven(Math.max(columns, rows) * WIDEST_VESSEL));
  const [before, after] = [Math.floor((size - 1) / 2), Math.floor(size / 2)];
  const greater = (most, value) => (value > most ? value : most);
  const less = (least, value) => (value < least ? value : least);
  const widened = along(smoothed, columns, rows, -before, after, greater, -Infinity);
  const closed = along(widened, columns, rows, -after, before, less, Infinity);
  return closed.reduce((sum, value, place) => sum + value - smoothed[place], 0) / closed.length;
}

function gaussian() {
  const weights = Array.from({ length: 2 * SMOOTHED + 1 }, (_, place) => Math.exp(-((place - SMOOTHED) ** 2) / 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Each value joined with its neighbours from `first` to `last`, along rows and then along columns. */
function along(plane, columns, rows, first, last, join, start) {
  const once = line(plane, columns, rows, 1, columns, first, last, join, start);
  return line(once, rows, columns, columns, 1, first, last, join, start);
}

function line(plane, length, lines, step, jump, first, last, join, start) {
  const result = new Float64Array(plane.length);
  const width = last - first + 1;
  // one line with what lies beyond its ends, so that the inner loop runs straight on
  const longer = new Float64Array(length + width - 1);
  const sources = Int32Array.from(longer, (_, place) => mirrored(place + first, length) * step);
  for (let row = 0; row < lines; row++) {
    for (let place = 0; place < longer.length; place++) longer[place] = plane[row * jump + sources[place]];
    for (let place = 0; place < length; place++) {
      let joined = start;
      for (let k = 0; k < width; k++) joined = join(joined, longer[place + k], k);
      result[row * jump + place * step] = joined;
    }
  }
  return result;
}

/** The edge itself is repeated: … 1 0 | 0 1 2 …, however far. */
function mirrored(place, length) {
  const inside = ((place % (2 * length)) + 2 * length) % (2 * length);
  return inside < length ? inside : 2 * length - 1 - inside;
}

/** Python's rounding. */
function roundHalfEven(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
