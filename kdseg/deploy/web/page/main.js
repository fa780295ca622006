/** The page: a file comes in, its frames are shown and segmented, masks are saved. Nothing is sent anywhere. */

import { asset } from "./assets.js";
import { bestFrame } from "./best-frame.js";
import { maskFile } from "./mask-file.js";
import { Network } from "./network.js";
import { FileProblem, openFile } from "./open-file.js";
import { segmented } from "./segment.js";
import { asSeen, drawImage, drawMask, makeLegend, tellShares } from "./view.js";

const part = (name) => document.getElementById(name);

/** The student; the open file with its masks by frame. */
let student, network, current;

async function start() {
  const [facts, model, runtime] = await Promise.all(
    ["student.json", "model.onnx", "ort-wasm-simd-threaded.wasm"].map(asset),
  );
  student = JSON.parse(new TextDecoder().decode(facts));
  network = await Network.load(model, runtime);
  makeLegend(student.task.classes, () => drawMask(current.masks.get(current.index)));
  part("file").disabled = false;
  tell("Ready for an image.");
}

/** Open a file and show the frame that the student looks at. */
async function take(file) {
  const opened = { name: file.name, masks: new Map() };
  current = opened;
  part("problem").hidden = true;
  part("controls").hidden = true;
  tell(`Reading ${file.name}…`, true);
  await attempt(async () => {
    opened.source = await openFile(file, student.task);
    const index = await firstFrame(opened, student.task.frame);
    if (current !== opened) return;
    tellFacts(opened);
    await show(index);
  });
}

async function firstFrame(opened, wanted) {
  const { source } = opened;
  if (source.count === 1 || wanted === "all") return 0;
  if (wanted !== "best") {
    if (wanted < source.count) return wanted;
    throw new FileProblem(`The file has ${source.count} frames; the student looks at frame ${wanted + 1}.`);
  }
  return bestFrame(source, async (index) => {
    if (current === opened) await told("Looking for the frame with the most contrast…", index / source.count);
    return current === opened;
  });
}

/** Show a frame with its mask, which is made where there is none yet. */
async function show(index) {
  const opened = current;
  const { source } = opened;
  opened.index = index;
  part("frame").value = index + 1;
  part("frame-number").textContent = `${index + 1} of ${source.count}`;
  const frame = { width: source.width, height: source.height, planes: await source.read(index) };
  if (current !== opened || opened.index !== index) return;
  for (const [name, hidden] of [["drop", true], ["student", true], ["picture", false], ["controls", false]]) part(name).hidden = hidden;
  drawImage(frame);
  const took = await mask(frame, opened, index);
  if (current !== opened || opened.index !== index) return;
  drawMask(opened.masks.get(index));
  tellShares(opened.masks.get(index));
  tell(took === null ? "Segmented." : `Segmented in ${seconds(took)}.`);
}

/** The milliseconds that it took to segment a frame; null where its mask is there already. */
async function mask(frame, opened, index) {
  if (opened.masks.has(index)) return null;
  await told("Segmenting…");
  const started = performance.now();
  const found = await segmented(frame, network, student);
  opened.masks.set(index, found.mask);
  // for whoever measures the page
  part("status").dataset.networkMilliseconds = found.milliseconds.toFixed(1);
  return performance.now() - started;
}

async function showAll() {
  const opened = current;
  const { source } = opened;
  const started = performance.now();
  for (let index = 0; index < source.count && current === opened; index++) {
    await told(`Segmenting frame ${index + 1} of ${source.count}…`, index / source.count);
    if (!opened.masks.has(index)) await show(index);
  }
  if (current === opened) tell(`${source.count} frames segmented in ${seconds(performance.now() - started)}.`);
}

function tellFacts({ name, source }) {
  const { format, count, width, height, spacing } = source;
  const facts = { File: name, Format: format, Size: `${width} × ${height} pixels` };
  if (spacing) facts.Pixel = `${spacing.map((length) => length.toFixed(3)).join(" × ")} mm`;
  if (count > 1) facts.Frames = count;
  part("facts").replaceChildren(
    ...Object.entries(facts).map(([title, value]) => {
      const line = document.createElement("div");
      for (const [kind, text] of [["dt", title], ["dd", value]]) {
        line.append(Object.assign(document.createElement(kind), { textContent: text }));
      }
      return line;
    }),
  );
  part("frames").hidden = count === 1;
  part("frame").max = count;
}

/** Whatever goes wrong with a file is told, and the page goes on. */
async function attempt(work) {
  const opened = current;
  try {
    await work();
  } catch (error) {
    if (current !== opened) return;
    tell("Ready for an image.");
    const known = error instanceof FileProblem;
    if (!known) console.error(error);
    part("problem").textContent = known ? error.message : `This did not work: ${error.message ?? error}`;
    part("problem").hidden = false;
  } finally {
    if (current === opened) part("progress").hidden = true;
  }
}

function tell(text, busy = false) {
  part("status").textContent = text;
  document.body.classList.toggle("busy", busy);
}

/** Tell what is being done and let the browser draw it; `share` of the work that is done. */
async function told(text, share) {
  tell(text, true);
  part("progress").hidden = share === undefined;
  if (share !== undefined) part("progress").value = share;
  // a page in the background is not drawn, and goes on all the same
  await new Promise((drawn) => [requestAnimationFrame(() => setTimeout(drawn)), setTimeout(drawn, 200)]);
}

const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(milliseconds < 10000 ? 2 : 0)} s`;

function save(content, ending) {
  const { name, index, source } = current;
  const stem = name.replace(/(\.nii)?\.(gz|nii|dcm|dicom|ima|png|jpe?g|bmp|webp|gif)$/i, "");
  const frame = source.count > 1 ? `_frame${index + 1}` : "";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = `${stem}${frame}_${ending}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function setOpacity() {
  part("overlay").style.opacity = part("opacity").value / 100;
  part("opacity-number").textContent = `${part("opacity").value} %`;
}

part("file").addEventListener("change", ({ target }) => {
  if (target.files.length) take(target.files[0]);
  // so that the same file can be chosen again
  target.value = "";
});
part("opacity").addEventListener("input", setOpacity);
part("frame").addEventListener("input", ({ target }) => attempt(() => show(target.valueAsNumber - 1)));
part("all").addEventListener("click", () => attempt(showAll));
part("save-mask").addEventListener("click", async () => {
  const { masks, index, source } = current;
  save(await maskFile(masks.get(index), source.width, source.height, student), "mask");
});
part("save-picture").addEventListener("click", () =>
  asSeen(part("opacity").value / 100).toBlob((content) => save(content, "overlay")),
);
for (const event of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(event, (action) => {
    action.preventDefault();
    part("stage").classList.toggle("over", event === "dragover");
    const file = event === "drop" && action.dataTransfer.files[0];
    if (file && !part("file").disabled) take(file);
  });
}
setOpacity();
attempt(start);
