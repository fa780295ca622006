/** The network over a large field: overlapping tiles whose trusted centres alone are kept; kdseg.inferers has the same. */

import { gathered } from "./planes.js";

/**
 * @param {import("./prepare.js").Field} field what the network is fed, of any size.
 * @param {import("./network.js").Network} network
 * @param {number[]} tile its width and height.
 * @param {number} border pixels at each edge of a tile whose result is not trusted.
 * @returns {Promise<import("./prepare.js").Field>} logits of the field's size.
 */
export async function overTiles({ width, height, planes }, network, [wide, high], border) {
  const [across, down] = [wide - 2 * border, high - 2 * border];
  const columns = continued(width, across, border);
  const rows = continued(height, down, border);
  let results;
  for (let top = 0; top < height; top += down) {
    for (let left = 0; left < width; left += across) {
      const fed = planes.map((plane) =>
        gathered(plane, width, columns.slice(left, left + wide), rows.slice(top, top + high)),
      );
      const logits = await network.logits({ width: wide, height: high, planes: fed });
      results ??= logits.planes.map(() => new Float32Array(width * height));
      logits.planes.forEach((plane, channel) => {
        for (let row = top; row < Math.min(top + down, height); row++) {
          const start = (row - top + border) * wide + border;
          const kept = plane.subarray(start, start + Math.min(across, width - left));
          results[channel].set(kept, row * width + left);
        }
      });
    }
  }
  return { width, height, planes: results };
}

/** Positions along an axis that is reflected to whole centres, and then by the border at both ends. */
function continued(size, centre, border) {
  const whole = reflected(size, 0, Math.ceil(size / centre) * centre - size);
  return reflected(whole.length, border, border).map((place) => whole[place]);
}

/** The last pixel is not repeated: … 2 1 0 1 2 …, however far. */
function reflected(size, before, after) {
  const period = Math.max(2 * (size - 1), 1);
  return Array.from({ length: before + size + after }, (_, place) => {
    const along = (((place - before) % period) + period) % period;
    return size - 1 - Math.abs(along - (size - 1));
  });
}
