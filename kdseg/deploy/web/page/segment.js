/** Class numbers of a frame: prepared, through the network, decided, as kdseg.task.steps has it. */

import { prepared } from "./prepare.js";

/**
 * @param {import("./prepare.js").Field} frame values from 0 to 1.
 * @param {import("./network.js").Network} network
 * @param {Object} task the student's task.json.
 * @returns {Promise<{mask: Uint8Array, milliseconds: number}>} class numbers row by row, 0 is the background; the time
 *     that the network took.
 */
export async function segmented(frame, network, task) {
  const fed = prepared(frame, task);
  const started = performance.now();
  const logits = await wholePicture(fed, network, task.divisible);
  const milliseconds = performance.now() - started;
  return { mask: decided(logits.planes, task.head), milliseconds };
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

/** The plane's values at these columns and rows. */
function gathered(plane, width, columns, rows) {
  const result = new Float32Array(columns.length * rows.length);
  let place = 0;
  for (const row of rows) for (const column of columns) result[place++] = plane[row * width + column];
  return result;
}

/** The most probable class of each pixel; of a sigmoid head 0 where no class has a probability of one half. */
function decided(logits, head) {
  const [first, least] = head === "softmax" ? [0, -Infinity] : [1, 0];
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
