/** Class numbers of a frame: prepared, through the network, decided, as kdseg.task.steps has it. */

import { gathered } from "./planes.js";
import { prepared } from "./prepare.js";
import { resized } from "./resample.js";
import { overTiles } from "./tiles.js";

/**
 * @param {import("./prepare.js").Field} frame values from 0 to 1.
 * @param {import("./network.js").Network} network
 * @param {Object} student its task, and "smoothing", the kernel before a picture is reduced, or null.
 * @returns {Promise<{mask: Uint8Array, milliseconds: number}>} class numbers row by row, 0 is the background; the time
 *     that the network took.
 */
export async function segmented(frame, network, { task, smoothing }) {
  const fed = prepared(frame, task, smoothing);
  const started = performance.now();
  const logits = task.patch_size
    ? await overTiles(fed, network, task.patch_size, task.border)
    : await wholePicture(fed, network, task.divisible);
  const milliseconds = performance.now() - started;
  if (!smoothing) return { mask: decided(logits.planes, task.head, 0), milliseconds };
  // of a picture probabilities and not classes are brought back to full size
  const full = probabilities(logits.planes, task.head).map((plane) =>
    resized(plane, logits.width, logits.height, frame.width, frame.height),
  );
  return { mask: decided(full, task.head, 0.5), milliseconds };
}

/** One run over the whole picture, which is continued by its border to what the network's poolings need. */
async function wholePicture({ width, height, planes }, network, divisible) {
  const [wide, high] = [width, height].map((side) => Math.ceil(side / divisible) * divisible);
  const columns = Array.from({ length: wide }, (_, column) => Math.min(column, width - 1));
  const rows = Array.from({ length: high }, (_, row) => Math.min(row, height - 1));
  const padded = planes.map((plane) => gathered(plane, width, columns, rows));
  const logits = await network.logits({ width: wide, height: high, planes: padded });
  const kept = logits.planes.map((plane) => gathered(plane, wide, columns.slice(0, width), rows.slice(0, height)));
  return { width, height, planes: kept };
}

function probabilities(logits, head) {
  if (head === "sigmoid") return logits.map((plane) => plane.map((value) => 1 / (1 + Math.exp(-value))));
  const exponents = logits.map(() => new Float32Array(logits[0].length));
  for (let pixel = 0; pixel < logits[0].length; pixel++) {
    let [greatest, sum] = [-Infinity, 0];
    for (const plane of logits) greatest = Math.max(greatest, plane[pixel]);
    for (const plane of logits) sum += Math.exp(plane[pixel] - greatest);
    logits.forEach((plane, channel) => (exponents[channel][pixel] = Math.exp(plane[pixel] - greatest) / sum));
  }
  return exponents;
}

/** The class with the greatest value at each pixel; of a sigmoid head 0 where none reaches `half`. */
function decided(logits, head, half) {
  const [first, least] = head === "softmax" ? [0, -Infinity] : [1, half];
  const mask = new Uint8Array(logits[0].length);
  const best = new Float32Array(mask.length).fill(-Infinity);
  logits.forEach((plane, channel) => {
    for (let pixel = 0; pixel < mask.length; pixel++) {
      if (plane[pixel] > best[pixel] && plane[pixel] >= least) {
        best[pixel] = plane[pixel];
        mask[pixel] = channel + first;
      }
    }
  });
  return mask;
}
