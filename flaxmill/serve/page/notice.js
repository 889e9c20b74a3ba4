// Says in words what went wrong and what to do, and offers to try again.

import { onLanguage, words } from "./language.js";
import { Problem } from "./problem.js";
import { token } from "./token.js";

// Of these, trying the same again makes nothing better.
const FINAL = ["refused", "large", "undecodable", "enormous"];

const box = () => document.getElementById("problem");
const form = () => document.getElementById("token");
let shown = null;

/**
 * Shows a problem.
 *
 * @param {Error} error
 * @param {Function} [again] What to do once more when the person says so.
 * @param {string[]} [names] Of those that failed, where there were others beside them.
 */
export function tell(error, again, names = []) {
  const known = error.kind in words.problems; // a kind of data throws its own, of no class of ours
  const problem = known ? error : new Problem("defect", { said: String(error) });
  if (problem.kind === "defect") console.error(error);
  shown = { problem, again, names };
  if (problem.kind === "token") {
    form().hidden = false;
    form().elements.token.focus();
    if (!token.isKept) return; // the field says it all
  }
  render();
  box().scrollIntoView({ block: "nearest" });
}

/** Takes the words away. */
export function calm() {
  shown = null;
  box().hidden = true;
}

/** Makes the token's form work. */
export function listen() {
  onLanguage(render);
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    token.keep(form().elements.token.value);
    form().hidden = true;
    const again = shown?.again;
    calm();
    again?.();
  });
}

function render() {
  if (!shown) return;
  const { problem, again, names } = shown;
  const { kind, facts = {} } = problem;
  const [what, help] = words.problems[kind](facts);
  const parts = [paragraph(what, "what"), paragraph(help)];
  if (names.length) parts.push(paragraph(names.join(", "), "hint"));
  if (facts.said) parts.push(paragraph(words.serverSaid(facts.said), "hint"));
  const buttons = Object.assign(document.createElement("p"), { className: "buttons" });
  if (again && !FINAL.includes(kind)) {
    buttons.append(
      button(words.again, () => {
        calm();
        again();
      }),
    );
  }
  buttons.append(button(words.dismiss, calm, "quiet"));
  box().replaceChildren(...parts, buttons);
  box().hidden = false;
}

function paragraph(text, name = "") {
  return Object.assign(document.createElement("p"), { textContent: text, className: name });
}

function button(text, pressed, name = "") {
  const made = Object.assign(document.createElement("button"), {
    type: "button",
    textContent: text,
    className: name,
  });
  made.addEventListener("click", pressed);
  return made;
}
