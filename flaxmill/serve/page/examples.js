// Test examples to click.

import { glossed, words } from "./language.js";

/**
 * Shows the examples that came with the model.
 *
 * @param {{name: string, given: object}[]} examples Names begin with the number of the class, where
 *     there are classes.
 * @param {object} desk
 */
export function showExamples(examples, desk) {
  const section = document.getElementById("examples");
  const { signature, parts } = desk;
  section.hidden = examples.length === 0;
  section.querySelector("ul").replaceChildren(
    ...examples.map(({ name, given }) => {
      const label = signature.labels[Number.parseInt(name, 10)] ?? name;
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.setAttribute("aria-label", words.example(glossed(label)));
      const caption = Object.assign(document.createElement("span"), { textContent: label });
      button.append(parts.input.thumbnail(given, null, signature), caption);
      button.addEventListener("click", () => desk.give([given]));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}
