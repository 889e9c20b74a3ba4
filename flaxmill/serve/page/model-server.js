// The model behind `flaxmill serve`: what a person gives goes to the server this page came from.

import { Problem } from "./problem.js";
import { ask, read, readExamples } from "./request.js";
import { token } from "./token.js";

const DATATYPES = {
  bool: "BOOL",
  uint8: "UINT8",
  int32: "INT32",
  int64: "INT64",
  float32: "FP32",
};

/**
 * Finds out what the model is.
 *
 * @returns {Promise<object>} Its `signature`, and `load(parts)`, which makes it ready and returns its
 *     `examples` (`{name, given}` each); `answer(given)`, which gives `{seen, answer}` of what a
 *     person gives; and `infer(examples, progress)`, which gives the numbers that an answer is made
 *     of for each of many examples that it saw, and says in between how many are done.
 */
export async function find() {
  const limits = await read("limits.json");
  if (limits.token && !token.isKept) throw new Problem("token");
  const signature = await read("signature.json");
  const load = async (parts) => ({
    examples: await readExamples(parts.input),
    answer: (given) => answer(given, signature, limits, parts),
    infer: (examples, progress) => infer(examples, progress, signature, limits, parts),
  });
  return { signature, load };
}

async function answer(given, signature, limits, parts) {
  const { query, ...request } = await parts.input.request(given, signature, limits);
  const options = new URLSearchParams({ ...parts.answer.query(signature), ...query });
  const response = await ask(`predict?${options}`, { method: "POST", ...request }, limits);
  const [said] = (await response.json()).predictions;
  return {
    seen: await parts.input.seen(said, signature),
    answer: parts.answer.heard(said, signature),
  };
}

/** Asks in as few requests as the server's limits allow. */
async function infer(examples, progress, signature, limits, { input, answer }) {
  const bytes = contents(input.collate(examples.slice(0, 1), signature)).reduce(
    (sum, { byteLength }) => sum + byteLength,
    0,
  );
  const fit = Math.trunc((limits.max_body_bytes - 1024) / bytes);
  const most = Math.max(1, Math.min(limits.max_batch, fit));
  const rows = [];
  while (rows.length < examples.length) {
    const some = examples.slice(rows.length, rows.length + most);
    const tensors = input.collate(some, signature);
    rows.push(...(await inferOnce(tensors, some.length, signature.name, answer.output)));
    progress(rows.length);
    await new Promise((resolve) => setTimeout(resolve)); // lets the page answer in between
  }
  return rows;
}

/** Asks in the Open Inference Protocol, with the tensors as bytes. */
async function inferOnce(tensors, count, model, output) {
  const head = new TextEncoder().encode(
    JSON.stringify({
      inputs: Object.entries(tensors).map(([name, { data, shape, dtype }]) => ({
        name,
        datatype: DATATYPES[dtype],
        shape,
        parameters: { binary_data_size: data.byteLength },
      })),
      outputs: [{ name: output, parameters: { binary_data: true } }],
    }),
  );
  const response = await ask(`v2/models/${encodeURIComponent(model)}/infer`, {
    method: "POST",
    headers: {
      "Content-Type": "application/octet-stream",
      "Inference-Header-Content-Length": head.length,
    },
    body: new Blob([head, ...contents(tensors)]),
  });
  const start = Number(response.headers.get("Inference-Header-Content-Length"));
  const numbers = new Float32Array((await response.arrayBuffer()).slice(start));
  const each = numbers.length / count;
  return Array.from({ length: count }, (_, i) => numbers.slice(i * each, (i + 1) * each));
}

function contents(tensors) {
  return Object.values(tensors).map(({ data }) => data);
}
