/** The image, the coloured mask over it, and the legend. */

import { colourOf } from "./colours.js";

const [image, overlay, legend] = ["image", "overlay", "legend"].map((name) => document.getElementById(name));

/** Draw a frame: planes from 0 to 1. */
export function drawImage({ width, height, planes }) {
  for (const canvas of [image, overlay]) [canvas.width, canvas.height] = [width, height];
  const pixels = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels.data[4 * pixel + channel] = Math.round(255 * (planes[channel] ?? planes[0])[pixel]);
    }
    pixels.data[4 * pixel + 3] = 255;
  }
  image.getContext("2d").putImageData(pixels, 0, 0);
}

/** Draw the classes of a mask that are ticked in the legend. */
export function drawMask(mask) {
  const shown = [...legend.querySelectorAll("input")].map((box) => box.checked);
  const pixels = new ImageData(overlay.width, overlay.height);
  mask.forEach((number, pixel) => {
    if (number > 0 && shown[number - 1]) pixels.data.set([...colourOf(number), 255], 4 * pixel);
  });
  overlay.getContext("2d").putImageData(pixels, 0, 0);
}

/**
 * A line for each class: a box that shows or hides it, its colour, its name, its share of the picture.
 *
 * @param {string[]} classes
 * @param {() => void} changed called when a class is shown or hidden.
 */
export function makeLegend(classes, changed) {
  classes.forEach((name, index) => {
    const line = document.createElement("li");
    const label = document.createElement("label");
    const box = document.createElement("input");
    label.className = "class";
    [box.type, box.checked] = ["checkbox", true];
    box.addEventListener("change", changed);
    label.append(box, swatch(index + 1), words("name", name), words("share", ""));
    line.append(label);
    legend.append(line);
  });
}

/** Tell each class's share of the picture. */
export function tellShares(mask) {
  const counts = new Map();
  for (const number of mask) counts.set(number, (counts.get(number) ?? 0) + 1);
  [...legend.querySelectorAll(".share")].forEach((place, index) => {
    place.textContent = `${((100 * (counts.get(index + 1) ?? 0)) / mask.length).toFixed(1)} %`;
  });
}

/** The image with its overlay as it is seen, as one canvas. */
export function asSeen(opacity) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  context.globalAlpha = opacity;
  context.drawImage(overlay, 0, 0);
  return canvas;
}

function swatch(number) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const square = document.createElementNS(svg.namespaceURI, "rect");
  square.setAttribute("width", "100%");
  square.setAttribute("height", "100%");
  square.setAttribute("fill", `rgb(${colourOf(number)})`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(square);
  return svg;
}

function words(kind, text) {
  const span = document.createElement("span");
  [span.className, span.textContent] = [kind, text];
  return span;
}
