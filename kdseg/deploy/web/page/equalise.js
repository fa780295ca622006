/**
 * Contrast-limited adaptive histogram equalisation, with the numbers of skimage.exposure.equalize_adapthist (Zuiderveld,
 * Graphics Gems IV, 1994): tiles of an eighth of the picture, clip limit .01, 256 bins.
 */

const LEVELS = 2 ** 14;
const BINS = 256;
const LEVELS_A_BIN = 1 + LEVELS / BINS;
const CLIP_LIMIT = 0.01;
const DEEPEST = 2 ** 16 - 1;

/**
 * @param {Float32Array} plane values from 0 to 1, row by row; one of a single grey is left as it is.
 * @param {number} width
 * @param {number} height
 * @returns {Float32Array} values from 0 to 1.
 */
export function equalised(plane, width, height) {
  const [least, greatest] = range(plane);
  if (least === greatest) return plane;
  const columns = axis(width);
  const rows = axis(height);
  const bins = binsOf(plane);
  const maps = [];
  for (let down = 0; down < rows.tiles; down++) {
    for (let across = 0; across < columns.tiles; across++) maps.push(mapOf(bins, width, columns, rows, across, down));
  }
  const result = new Float32Array(plane.length);
  const horizontal = Array.from({ length: width }, (_, column) => neighbours(columns, column));
  for (let row = 0; row < height; row++) {
    const vertical = neighbours(rows, row);
    for (let column = 0; column < width; column++) {
      const bin = bins[row * width + column];
      let value = 0;
      for (const [across, beside] of horizontal[column]) {
        for (const [down, below] of vertical) {
          value = Math.fround(value + Math.fround(maps[down * columns.tiles + across][bin] * beside * below));
        }
      }
      result[row * width + column] = Math.trunc(value);
    }
  }
  const [low, high] = range(result);
  return result.map((value) => (value - low) / (high - low));
}

function range(plane) {
  let [least, greatest] = [Infinity, -Infinity];
  for (let pixel = 0; pixel < plane.length; pixel++) {
    if (plane[pixel] < least) least = plane[pixel];
    if (plane[pixel] > greatest) greatest = plane[pixel];
  }
  return [least, greatest];
}

/** The bin of each pixel, after the picture's own range was stretched to all grey levels. */
function binsOf(plane) {
  const deep = Float64Array.from(plane, (value) => roundHalfEven(Math.fround(value * DEEPEST)));
  const [low, high] = range(deep);
  return Uint8Array.from(deep, (value) =>
    Math.floor(roundHalfEven(((value - low) / (high - low)) * (LEVELS - 1)) / LEVELS_A_BIN),
  );
}

/** Tiles along an axis: their length, their number, and where in the picture each of their pixels lies. */
function axis(size) {
  const length = Math.max(Math.floor(size / 8), 1);
  const tiles = Math.ceil(size / length);
  // beyond the edge the picture is mirrored, without its last pixel
  const places = Array.from({ length: tiles * length }, (_, place) => (place < size ? place : 2 * (size - 1) - place));
  return { length, tiles, places };
}

/** The tiles before and after a pixel, by their middles, each with its weight. */
function neighbours({ length, tiles }, place) {
  const moved = place + Math.floor(length / 2);
  const [block, part] = [Math.floor(moved / length), (moved % length) / length];
  const inside = (tile) => Math.min(Math.max(tile, 0), tiles - 1);
  return [[inside(block - 1), 1 - part], [inside(block), part]];
}

/** Bin → grey level of a tile. */
function mapOf(bins, width, columns, rows, across, down) {
  const counts = new Int32Array(BINS);
  for (let row = 0; row < rows.length; row++) {
    const start = rows.places[down * rows.length + row] * width;
    for (let column = 0; column < columns.length; column++) {
      counts[bins[start + columns.places[across * columns.length + column]]]++;
    }
  }
  const pixels = columns.length * rows.length;
  clip(counts, Math.floor(Math.max(CLIP_LIMIT * pixels, 1)));
  let sum = 0;
  const scale = (LEVELS - 1) / pixels;
  return Int32Array.from(counts, (count) => Math.floor(Math.min((sum += count) * scale, LEVELS - 1)));
}

/** Cut a histogram off at a limit, and spread what was cut off over its bins, in place. */
function clip(counts, limit) {
  let excess = 0;
  const fill = (place) => {
    excess += counts[place] - limit;
    counts[place] = limit;
  };
  counts.forEach((count, place) => count > limit && fill(place));
  const share = Math.floor(excess / BINS);
  const upper = limit - share;
  counts.forEach((count, place) => {
    if (count < upper) {
      counts[place] += share;
      excess -= share;
    }
  });
  counts.forEach((count, place) => count >= upper && count < limit && fill(place));
  spread(counts, limit, excess);
}

/** One more to every so many bins, until nothing is left or no bin has room. */
function spread(counts, limit, excess) {
  for (let before = Infinity; excess > 0 && excess !== before; ) {
    before = excess;
    for (let first = 0; first < BINS && excess > 0; first++) {
      const room = counts.reduce((total, count) => total + (count < limit ? 1 : 0), 0);
      const step = Math.max(1, Math.floor(room / excess));
      for (let place = first; place < BINS; place += step) {
        if (counts[place] < limit) {
          counts[place]++;
          excess--;
        }
      }
    }
  }
}

/** NumPy's rounding. */
function roundHalfEven(value) {
  const rounded = Math.round(value);
  return value % 1 === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
