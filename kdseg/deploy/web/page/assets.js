/** The student's files: beside the page, or, in a page of one file, inside it. */

/**
 * @param {string} name of the file.
 * @returns {Promise<Uint8Array>}
 */
export async function asset(name) {
  const inside = document.querySelector(`script[data-file="${name}"]`);
  if (inside) return unpacked(inside.textContent.trim());
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name} is missing beside the page (${answer.status})`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Base64 of a gzip stream, as kdseg writes it into a page of one file. */
async function unpacked(text) {
  const letters = atob(text);
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
