/** From the values of a frame to what the network is fed, as the task says; the same steps as in kdseg.task.steps. */

import { equalised } from "./equalise.js";
import { resized, smoothed } from "./resample.js";

/** ITU-R BT.601, the luminance that PNG and JPEG tools use. */
const LUMINANCE = [0.299, 0.587, 0.114];

/**
 * A picture as planes of numbers, row by row.
 *
 * @typedef {Object} Field
 * @property {number} width
 * @property {number} height
 * @property {Float32Array[]} planes
 */

/** Luminance of a frame: one plane. */
export function grey(planes) {
  if (planes.length === 1) return planes[0];
  const [red, green, blue] = planes;
  return red.map((value, pixel) => LUMINANCE[0] * value + LUMINANCE[1] * green[pixel] + LUMINANCE[2] * blue[pixel]);
}

/**
 * @param {Field} frame values from 0 to 1.
 * @param {Object} task the student's task.json.
 * @param {?number[]} smoothing the kernel before the picture is reduced by patch_size / tile; null: it is not reduced.
 * @returns {Field} what the network is fed.
 */
export function prepared({ width, height, planes }, task, smoothing) {
  let channels = task.colour ? [0, 1, 2].map((channel) => planes[channel] ?? planes[0]) : [grey(planes)];
  if (task.clahe) channels = channels.map((plane) => equalised(plane, width, height));
  if (task.window) channels = channels.map((plane) => windowed(plane, task.window));
  if (task.z_score) channels = normalised(channels);
  if (!smoothing) return { width, height, planes: channels };
  const scale = task.patch_size[0] / task.tile;
  const [wide, high] = [Math.floor(width * scale), Math.floor(height * scale)];
  const reduced = channels.map((plane) => resized(smoothed(plane, width, height, smoothing), width, height, wide, high));
  return { width: wide, height: high, planes: reduced };
}

function windowed(plane, [low, high]) {
  return plane.map((value) => Math.min(Math.max((value - low) / (high - low), 0), 1));
}

/** Mean 0 and standard deviation 1 over all planes together; a picture of one value becomes 0. */
function normalised(planes) {
  const size = planes.length * planes[0].length;
  let [sum, squares] = [0, 0];
  for (const plane of planes) for (let pixel = 0; pixel < plane.length; pixel++) sum += plane[pixel];
  const mean = sum / size;
  for (const plane of planes) for (let pixel = 0; pixel < plane.length; pixel++) squares += (plane[pixel] - mean) ** 2;
  const deviation = Math.sqrt(squares / size) || 1;
  return planes.map((plane) => plane.map((value) => (value - mean) / deviation));
}
