/** What is needed of a DICOM header, with the look-up tables of the first frame in enhanced files. */

const SHARED_GROUPS = "x52009229";
const FRAME_GROUPS = "x52009230";
const WINDOW_CENTER = "x00281050";
const WINDOW_WIDTH = "x00281051";
const WINDOW_FUNCTION = "x00281056";
const INTERCEPT = "x00281052";
const SLOPE = "x00281053";
const MODALITY_TABLE = "x00283000";
const DISPLAY_TABLE = "x00283010";
const PIXEL_SPACING = "x00280030";
const CALIBRATED_SPACING = "x00189404";
const DETECTOR_SPACING = "x00181164";
const MAGNIFICATION = "x00181114";

/**
 * @param {Object} data of dicomParser.
 * @returns {Object} rows, columns, count, bits, allocated, signed, samples, planar, photometric, modality, syntax,
 *     bigEndian, pixels (the element), slope and intercept or null, window or null, the tables or null, spacing or null.
 */
export function headerOf(data) {
  const number = (tag, usual) => data.uint16(tag) ?? usual;
  const syntax = data.string("x00020010") ?? "1.2.840.10008.1.2";
  const slope = real(data, SLOPE);
  const intercept = real(data, INTERCEPT);
  return {
    rows: number("x00280010", 0),
    columns: number("x00280011", 0),
    count: data.intString("x00280008") || 1,
    allocated: number("x00280100", 8),
    bits: number("x00280101", number("x00280100", 8)),
    signed: number("x00280103", 0) === 1,
    samples: number("x00280002", 1),
    planar: number("x00280006", 0),
    photometric: data.string("x00280004") ?? "missing",
    modality: data.string("x00080060") ?? "",
    syntax,
    bigEndian: syntax === "1.2.840.10008.1.2.2",
    pixels: data.elements.x7fe00010,
    rescale: slope === null && intercept === null ? null : { slope: slope ?? 1, intercept: intercept ?? 0 },
    window: windowOf(data),
    modalityTable: tableOf(data, MODALITY_TABLE),
    displayTable: tableOf(data, DISPLAY_TABLE),
    spacing: spacingOf(data),
  };
}

/** The element's dataset: the first frame's functional groups, then those of all frames, then the file's top. */
function holder(data, tag) {
  for (const group of [FRAME_GROUPS, SHARED_GROUPS]) {
    const macros = data.elements[group]?.items?.[0]?.dataSet?.elements ?? {};
    for (const [name, macro] of Object.entries(macros)) {
      // vendors keep the header of the classic file in private groups, with other values
      const inside = isPrivate(name) ? null : macro.items?.[0]?.dataSet;
      if (inside?.elements[tag]?.length) return inside;
    }
  }
  return data;
}

const isPrivate = (name) => parseInt(name[4], 16) % 2 === 1;

function real(data, tag, place = 0) {
  const value = holder(data, tag).floatString(tag, place);
  return Number.isFinite(value) ? value : null;
}

function windowOf(data) {
  const [center, width] = [real(data, WINDOW_CENTER), real(data, WINDOW_WIDTH)];
  if (center === null || width === null) return null;
  return { center, width, shape: holder(data, WINDOW_FUNCTION).string(WINDOW_FUNCTION) || "LINEAR" };
}

/** A look-up table: its first input value, its depth in bits, its entries. */
function tableOf(data, tag) {
  const inside = data.elements[tag]?.items?.[0]?.dataSet;
  if (!inside) return null;
  const count = inside.uint16("x00283002", 0) || 65536;
  // of the same type as the pixels
  const signed = data.uint16("x00280103") === 1;
  const first = signed ? inside.int16("x00283002", 1) : inside.uint16("x00283002", 1);
  const entries = Float64Array.from({ length: count }, (_, place) => inside.uint16("x00283006", place) ?? 0);
  return { first, depth: inside.uint16("x00283002", 2), entries };
}

/** mm along a row and along a column: in the patient where somebody calibrated it, else what the detector says. */
function spacingOf(data) {
  for (const tag of [PIXEL_SPACING, CALIBRATED_SPACING, DETECTOR_SPACING]) {
    const [down, across] = [real(data, tag, 0), real(data, tag, 1)];
    if (!(down > 0 && across > 0)) continue;
    const factor = tag === DETECTOR_SPACING ? real(data, MAGNIFICATION) || 1 : 1;
    return [across / factor, down / factor];
  }
  return null;
}
