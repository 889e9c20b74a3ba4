// The model behind `flaxmill serve`: pictures go to the server this page came from.

import { decoded, withoutAlpha } from "./pixels.js";
import { Problem } from "./problem.js";
import { ask, read, readExamples } from "./request.js";
import { token } from "./token.js";

/**
 * Makes the server's model ready.
 *
 * @returns {Promise<object>} `signature` and `examples` (`{name, blob}` each) of the model;
 *     `classify(blob)`, which gives `{seen, probabilities}` of a picture file; and
 *     `infer(pictures)`, which gives an array of probabilities for each of at most `batch`
 *     prepared pictures.
 */
export async function open() {
  const limits = await read("limits.json");
  if (limits.token && !token.isKept) throw new Problem("token");
  const [signature, examples] = await Promise.all([read("signature.json"), readExamples()]);
  const bytes = signature.inputs[0].shape.slice(1).reduce((product, size) => product * size);
  const fit = Math.trunc((limits.max_body_bytes - 1024) / bytes);
  return {
    signature,
    examples,
    batch: Math.max(1, Math.min(limits.max_batch, fit)),
    classify: (blob) => classify(blob, signature, limits),
    infer: (pictures) => infer(pictures, signature),
  };
}

async function classify(blob, signature, limits) {
  if (blob.size > limits.max_body_bytes) throw new Problem("large", limits);
  const body = new FormData();
  body.append("picture", blob, blob.name ?? "picture.png");
  const query = new URLSearchParams({ top: signature.labels.length, seen: 1 });
  const response = await ask(`predict?${query}`, { method: "POST", body }, limits);
  const [{ predictions, seen }] = (await response.json()).predictions;
  const found = new Map(predictions.map(({ label, probability }) => [label, probability]));
  return {
    seen: withoutAlpha(await decoded(pictureOf(seen)), signature.inputs[0].shape[3]),
    probabilities: signature.labels.map((label) => found.get(label) ?? 0),
  };
}

/** Asks in the Open Inference Protocol, with the tensors as bytes. */
async function infer(pictures, signature) {
  const [{ name, shape }] = signature.inputs;
  const data = new Uint8Array(pictures.length * pictures[0].length);
  pictures.forEach((picture, i) => data.set(picture, i * picture.length));
  const head = new TextEncoder().encode(
    JSON.stringify({
      inputs: [
        {
          name,
          datatype: "UINT8",
          shape: [pictures.length, ...shape.slice(1)],
          parameters: { binary_data_size: data.length },
        },
      ],
      outputs: [{ name: "probabilities", parameters: { binary_data: true } }],
    }),
  );
  const response = await ask(`v2/models/${encodeURIComponent(signature.name)}/infer`, {
    method: "POST",
    headers: {
      "Content-Type": "application/octet-stream",
      "Inference-Header-Content-Length": head.length,
    },
    body: new Blob([head, data]),
  });
  const start = Number(response.headers.get("Inference-Header-Content-Length"));
  const numbers = new Float32Array((await response.arrayBuffer()).slice(start));
  const classes = signature.labels.length;
  return pictures.map((_, i) => numbers.slice(i * classes, (i + 1) * classes));
}

/** Makes a data URL a file; the page's content security policy lets nothing fetch one. */
function pictureOf(url) {
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
