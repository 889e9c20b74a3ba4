// The model inside the browser: onnxruntime-web runs model.onnx, and nothing leaves the device.

import { Problem } from "./problem.js";
import { read, readExamples } from "./request.js";

const PAUSE = 80; // milliseconds after which the page must answer to other things in between

/**
 * Finds out what the model is.
 *
 * @returns {Promise<object>} As in model-server.js.
 */
export async function find() {
  const signature = await orUnloaded(read("signature.json"));
  const load = (parts) => orUnloaded(loaded(signature, parts));
  return { signature, load };
}

async function orUnloaded(promise) {
  try {
    return await promise;
  } catch (error) {
    throw new Problem("unloaded", { said: error.message });
  }
}

/** Loads runtime and model. */
async function loaded(signature, parts) {
  const { input, answer } = parts;
  const [examples, session] = await Promise.all([readExamples(input), opened()]);
  return {
    examples,
    answer: async (given) => {
      const seen = await input.read(given, signature);
      const [row] = await run(session, [seen], signature, parts);
      return { seen, answer: answer.decode(row, signature) };
    },
    infer: (asked, progress) => infer(session, asked, progress, signature, parts),
  };
}

async function opened() {
  const here = (name) => new URL(name, document.baseURI).href;
  const ort = await import(here("runtime/ort.js"));
  // Several threads would need headers (COOP, COEP) that a plain static host does not send.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: here("runtime/ort.wasm") };
  return { Tensor: ort.Tensor, model: await ort.InferenceSession.create(here("model.onnx")) };
}

/** Asks about as many at once as the page can wait for. */
async function infer(session, examples, progress, signature, parts) {
  const rows = [];
  let count = 1;
  while (rows.length < examples.length) {
    const some = examples.slice(rows.length, rows.length + count);
    const began = performance.now();
    rows.push(...(await run(session, some, signature, parts)));
    const spent = Math.max(1, performance.now() - began);
    count = Math.max(1, Math.min(2 * count, Math.trunc((some.length * PAUSE) / spent)));
    progress(rows.length);
    await new Promise((resolve) => setTimeout(resolve)); // lets the page answer in between
  }
  return rows;
}

async function run({ Tensor, model }, examples, signature, { input, answer }) {
  const tensors = Object.entries(input.collate(examples, signature)).map(
    ([name, { data, shape, dtype }]) => [name, new Tensor(dtype, data, shape)],
  );
  const { data } = (await model.run(Object.fromEntries(tensors), [answer.output]))[answer.output];
  const each = data.length / examples.length;
  return examples.map((_, i) => data.slice(i * each, (i + 1) * each));
}
