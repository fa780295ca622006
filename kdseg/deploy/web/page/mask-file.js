/** A mask as a PNG of one channel, like those of kdseg predict: 0 and 255 of one class, class numbers of several. */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const GREY_8_BIT = [8, 0, 0, 0, 0];

/**
 * @param {Uint8Array} mask class numbers, row by row.
 * @param {number} width
 * @param {number} height
 * @param {Object} student its task and the version of kdseg, which are written into the file.
 * @returns {Promise<Blob>}
 */
export async function maskFile(mask, width, height, { kdseg_version: version, task }) {
  const white = task.classes.length === 1 ? 255 : 1;
  const rows = new Uint8Array((width + 1) * height);
  // each row begins with the number of its filter: none
  mask.forEach((value, pixel) => (rows[pixel + Math.floor(pixel / width) + 1] = value * white));
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const labels = Object.fromEntries(["background", ...task.classes].map((name, number) => [number, name]));
  const words = new TextEncoder().encode(`kdseg\0${ascii(JSON.stringify({ version, labels }))}`);
  const header = [...bigEndian(width), ...bigEndian(height), ...GREY_8_BIT];
  const parts = [chunk("IHDR", header), chunk("tEXt", words), chunk("IDAT", packed), chunk("IEND", [])];
  return new Blob([new Uint8Array(SIGNATURE), ...parts], { type: "image/png" });
}

function chunk(name, content) {
  const body = new Uint8Array(4 + content.length);
  body.set(new TextEncoder().encode(name));
  body.set(content, 4);
  return new Blob([bigEndian(content.length), body, bigEndian(checksum(body))]);
}

const bigEndian = (number) => new Uint8Array([24, 16, 8, 0].map((shift) => (number >>> shift) & 255));

/** CRC-32, as in PNG's specification. */
function checksum(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  }
  return ~rest >>> 0;
}

const ascii = (text) =>
  text.replace(/[^\x00-\x7f]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
