/** The student's network, run by ONNX Runtime Web on this computer's processor. */

import * as ort from "./ort.wasm.bundle.min.mjs";

/** A network that gives logits for planes. */
export class Network {
  /**
   * @param {Uint8Array} model the ONNX file.
   * @param {Uint8Array} runtime the WebAssembly file of ONNX Runtime Web.
   */
  static async load(model, runtime) {
    // more threads need headers that a plain file server does not send
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = runtime.buffer;
    const network = new Network();
    network.session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    return network;
  }

  /**
   * @param {import("./prepare.js").Field} field what the network is fed, of a size that it can take.
   * @returns {Promise<import("./prepare.js").Field>} a plane of logits for each output.
   */
  async logits({ width, height, planes }) {
    const { session } = this;
    const size = width * height;
    const input = new Float32Array(size * planes.length);
    planes.forEach((plane, channel) => input.set(turned(plane, width, height), channel * size));
    // the axes of kdseg's networks are channel, column, row
    const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", input, [1, planes.length, width, height]) };
    const output = (await session.run(feeds))[session.outputNames[0]];
    const outputs = Array.from({ length: output.dims[1] }, (_, channel) =>
      turned(output.data.subarray(channel * size, (channel + 1) * size), height, width),
    );
    return { width, height, planes: outputs };
  }
}

/** Rows become columns. */
function turned(plane, width, height) {
  const result = new Float32Array(plane.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) result[column * height + row] = plane[row * width + column];
  }
  return result;
}
