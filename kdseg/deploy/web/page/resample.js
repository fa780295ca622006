/** A picture on another grid: smoothed and reduced before the network, probabilities brought back after it. */

/**
 * Along rows and along columns; beyond the edges there is nothing, as in MONAI's GaussianSmooth.
 *
 * @param {Float32Array} plane
 * @param {number[]} kernel of an odd length.
 */
export function smoothed(plane, width, height, kernel) {
  const middle = (kernel.length - 1) / 2;
  const once = (from, length, lines, step, jump) => {
    const result = new Float32Array(from.length);
    for (let line = 0; line < lines; line++) {
      for (let place = 0; place < length; place++) {
        let sum = 0;
        const last = Math.min(kernel.length - 1, length - 1 - place + middle);
        for (let k = Math.max(0, middle - place); k <= last; k++) {
          sum += kernel[k] * from[line * jump + (place + k - middle) * step];
        }
        result[line * jump + place * step] = sum;
      }
    }
    return result;
  };
  return once(once(plane, width, height, 1, width), height, width, width, 1);
}

/** Bilinear, by the centres of the pixels (torch's `align_corners=False`). */
export function resized(plane, width, height, wide, high) {
  const columns = parts(width, wide);
  const result = new Float32Array(wide * high);
  let place = 0;
  for (const [above, below, down] of parts(height, high)) {
    for (const [left, right, across] of columns) {
      const upper = plane[above * width + left] * (1 - across) + plane[above * width + right] * across;
      const lower = plane[below * width + left] * (1 - across) + plane[below * width + right] * across;
      result[place++] = upper * (1 - down) + lower * down;
    }
  }
  return result;
}

/** For each pixel of the new axis: the old ones before and after it, and the weight of the second. */
function parts(size, wanted) {
  return Array.from({ length: wanted }, (_, place) => {
    const position = Math.max(((place + 0.5) * size) / wanted - 0.5, 0);
    const before = Math.min(Math.floor(position), size - 1);
    return [before, Math.min(before + 1, size - 1), position - before];
  });
}
