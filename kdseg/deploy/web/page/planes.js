/** Planes of numbers, row by row. */

/** The plane's values at these columns and rows. */
export function gathered(plane, width, columns, rows) {
  const result = new Float32Array(columns.length * rows.length);
  let place = 0;
  for (const row of rows) for (const column of columns) result[place++] = plane[row * width + column];
  return result;
}
