// The model inside the browser: onnxruntime-web runs model.onnx, and no picture leaves the device.

import { decoded } from "./pixels.js";
import { prepare } from "./prepare.js";
import { Problem } from "./problem.js";
import { read, readExamples } from "./request.js";

const PIXELS = 14 * 28 * 28; // at once: few enough that the page stays responsive in between

/**
 * Loads runtime and model.
 *
 * @returns {Promise<object>} As in model-server.js.
 */
export async function open() {
  try {
    const [signature, examples, session] = await Promise.all([
      read("signature.json"),
      readExamples(),
      loaded(),
    ]);
    const infer = (pictures) => run(session, pictures, signature);
    const classify = async (blob) => {
      const seen = prepare(await decoded(blob), signature);
      return { seen, probabilities: [...(await infer([seen]))[0]] };
    };
    const [, height, width] = signature.inputs[0].shape;
    const batch = Math.max(1, Math.trunc(PIXELS / (height * width)));
    return { signature, examples, batch, classify, infer };
  } catch (error) {
    throw new Problem("unloaded", { said: error.message });
  }
}

async function loaded() {
  const here = (name) => new URL(name, document.baseURI).href;
  const ort = await import(here("runtime/ort.js"));
  // Several threads would need headers (COOP, COEP) that a plain static host does not send.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: here("runtime/ort.wasm") };
  return { Tensor: ort.Tensor, model: await ort.InferenceSession.create(here("model.onnx")) };
}

async function run({ Tensor, model }, pictures, signature) {
  const [{ name, shape }] = signature.inputs;
  const data = new Uint8Array(pictures.length * pictures[0].length);
  pictures.forEach((picture, i) => data.set(picture, i * picture.length));
  const input = new Tensor("uint8", data, [pictures.length, ...shape.slice(1)]);
  const { probabilities } = await model.run({ [name]: input }, ["probabilities"]);
  const classes = signature.labels.length;
  return pictures.map((_, i) => probabilities.data.slice(i * classes, (i + 1) * classes));
}
