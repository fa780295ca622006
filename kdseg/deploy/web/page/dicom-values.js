/** From stored values to values between black and white: rescale or table, window or table, inversion, colour. */

/** Their values are physical units, which a display in reverse does not change. */
const MEASURED = ["CT", "PT"];

/**
 * One plane of grey, 0 is black and 1 is white, as DICOM PS3.3 C.11 and kdseg's reader have it.
 *
 * @param {ArrayLike<number>} stored values of a frame.
 * @param {Object} header see dicom-header.js.
 * @returns {Float32Array}
 */
export function displayValues(stored, header) {
  const { modalityTable, displayTable, window, photometric, modality } = header;
  const rescaled = modalityTable ? (value) => entry(modalityTable, value) : rescale(header);
  const shown = displayTable ? (value) => entry(displayTable, value) : window ? windowed(header) : (value) => value;
  const [low, high] = limits(header);
  const inverted = photometric === "MONOCHROME1" && !MEASURED.includes(modality);
  const display = (value) => Math.min(Math.max((shown(rescaled(value)) - low) / (high - low), 0), 1);
  const plane = new Float32Array(stored.length);
  // a plain loop: a cine has many frames
  for (let pixel = 0; pixel < plane.length; pixel++) {
    plane[pixel] = inverted ? 1 - display(stored[pixel]) : display(stored[pixel]);
  }
  return plane;
}

function rescale({ rescale }) {
  return rescale ? (value) => value * rescale.slope + rescale.intercept : (value) => value;
}

function entry({ first, entries }, value) {
  return entries[Math.min(Math.max(Math.trunc(value) - first, 0), entries.length - 1)];
}

/** Black and white before the display's table or window. */
function rescaledLimits({ modalityTable, bits, signed, rescale }) {
  if (modalityTable) return [0, 2 ** modalityTable.depth - 1];
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const { slope, intercept } = rescale ?? { slope: 1, intercept: 0 };
  return [low * slope + intercept, (low + 2 ** bits - 1) * slope + intercept];
}

function limits(header) {
  return header.displayTable ? [0, 2 ** header.displayTable.depth - 1] : rescaledLimits(header);
}

function windowed(header) {
  const [low, high] = rescaledLimits(header);
  const { center, width, shape } = header.window;
  if (shape === "SIGMOID") return (value) => (high - low) / (1 + Math.exp((-4 * (value - center)) / width)) + low;
  // the standard's LINEAR counts grey levels, LINEAR_EXACT does not
  const [middle, span] = shape === "LINEAR" ? [center - 0.5, width - 1] : [center, width];
  return (value) => {
    if (value <= middle - span / 2) return low;
    if (value > middle + span / 2) return high;
    return ((value - middle) / span + 0.5) * (high - low) + low;
  };
}

/**
 * Red, green and blue from 0 to 1.
 *
 * @param {{values: ArrayLike<number>, planar: boolean, converted: boolean}} stored see dicom-frames.js.
 * @param {Object} header see dicom-header.js.
 * @returns {Float32Array[]}
 */
export function colourPlanes({ values, planar, converted }, { rows, columns, bits, photometric }) {
  const size = rows * columns;
  const white = 2 ** bits - 1;
  const planes = [0, 1, 2].map((channel) =>
    Float32Array.from({ length: size }, (_, pixel) => values[planar ? channel * size + pixel : 3 * pixel + channel]),
  );
  if (!converted && photometric.startsWith("YBR")) toRed(planes, white);
  return planes.map((plane) => plane.map((value) => Math.min(Math.max(value / white, 0), 1)));
}

/** Luminance and two differences of colour become red, green and blue, in place (PS3.3 C.7.6.3.1.2, YBR_FULL). */
function toRed([first, second, third], white) {
  const middle = (white + 1) / 2;
  for (let pixel = 0; pixel < first.length; pixel++) {
    const [luminance, blue, red] = [first[pixel], second[pixel] - middle, third[pixel] - middle];
    first[pixel] = Math.round(luminance + 1.402 * red);
    second[pixel] = Math.round(luminance - 0.344136 * blue - 0.714136 * red);
    third[pixel] = Math.round(luminance + 1.772 * blue);
  }
}
