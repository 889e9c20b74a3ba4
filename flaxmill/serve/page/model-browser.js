// The model inside the browser: onnxruntime-web runs model.onnx, and no picture leaves the device.

import { decoded } from "./pixels.js";
import { prepare } from "./prepare.js";
import { Problem } from "./problem.js";

const BATCH = 14; // pictures at once: few enough that the page stays responsive in between

/**
 * Loads runtime and model.
 *
 * @param {object} signature
 * @returns {Promise<{classify: Function, infer: Function, batch: number, limits: object}>} As in
 *     model-server.js.
 */
export async function open(signature) {
  let session;
  const runtime = new URL("runtime/", document.baseURI);
  try {
    const ort = await import(new URL("ort.js", runtime));
    // Several threads would need headers (COOP, COEP) that a plain static host does not send.
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", runtime).href };
    const model = new URL("model.onnx", document.baseURI).href;
    session = { ort, run: await ort.InferenceSession.create(model) };
  } catch (error) {
    throw new Problem("unloaded", { said: error.message });
  }
  const infer = (pictures) => run(session, pictures, signature);
  return {
    batch: BATCH,
    limits: { token: false },
    infer,
    classify: async (blob) => {
      const seen = prepare(await decoded(blob), signature);
      return { seen, probabilities: [...(await infer([seen]))[0]] };
    },
  };
}

async function run({ ort, run }, pictures, signature) {
  const [{ name, shape }] = signature.inputs;
  const data = new Uint8Array(pictures.length * pictures[0].length);
  pictures.forEach((picture, i) => data.set(picture, i * picture.length));
  const input = new ort.Tensor("uint8", data, [pictures.length, ...shape.slice(1)]);
  const { probabilities } = await run.run({ [name]: input }, ["probabilities"]);
  const classes = signature.labels.length;
  return pictures.map((_, i) => probabilities.data.slice(i * classes, (i + 1) * classes));
}
