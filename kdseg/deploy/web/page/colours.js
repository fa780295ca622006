/** Colours of the classes: those of Okabe and Ito (2008), which people with any colour vision tell apart. */

const COLOURS = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [204, 121, 167],
  [240, 228, 66],
  [213, 94, 0],
  [0, 114, 178],
  [148, 103, 189],
];

/**
 * @param {number} number of the class, from 1.
 * @returns {number[]} red, green and blue.
 */
export function colourOf(number) {
  return COLOURS[(number - 1) % COLOURS.length];
}
