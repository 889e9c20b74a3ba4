// Requests to where the page came from, and what refusals mean.

import { Problem } from "./problem.js";
import { token } from "./token.js";

const PATIENCE = 30_000; // milliseconds before an unanswered request is given up
const KINDS = {
  400: "refused",
  401: "token",
  408: "slow",
  413: "large",
  415: "refused",
  503: "busy",
};

/**
 * Fetches; what goes wrong becomes a Problem.
 *
 * @param {string} address Relative to the page.
 * @param {RequestInit} [options]
 * @param {object} [limits] Of the server, which the words for a refusal speak of.
 * @returns {Promise<Response>}
 */
export async function ask(address, options = {}, limits = {}) {
  const headers = { ...options.headers, ...token.headers() };
  let response;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    response = await fetch(address, { ...options, headers, signal });
  } catch {
    throw new Problem("gone");
  }
  if (response.ok) return response;
  let said = "";
  try {
    said = (await response.json()).error ?? "";
  } catch {
    // The answer came from something else than our server, such as a proxy: its status must do.
  }
  const seconds = Number(response.headers.get("Retry-After")) || undefined;
  const kind = KINDS[response.status] ?? "failed";
  throw new Problem(kind, { ...limits, status: response.status, said, seconds });
}

/** Reads a JSON file beside the page. */
export async function read(name) {
  return (await ask(name)).json();
}

/**
 * Reads the examples that came with the model, whole.
 *
 * @param {object} input Makes of a file what a person would give.
 */
export async function readExamples(input) {
  const names = await read("examples.json");
  return Promise.all(
    names.map(async (name) => {
      const blob = await (await ask(`examples/${encodeURIComponent(name)}`)).blob();
      return { name, given: await input.example(name, blob) };
    }),
  );
}
