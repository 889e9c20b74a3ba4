// Test pictures to click.

import { glossed, words } from "./language.js";

/**
 * Shows the examples that came with the model.
 *
 * @param {{name: string, blob: Blob}[]} examples Names begin with the number of the class.
 * @param {string[]} labels
 * @param {(pictures: {blob: Blob, name: string}[]) => void} give
 */
export function showExamples(examples, labels, give) {
  const section = document.getElementById("examples");
  section.hidden = examples.length === 0;
  section.querySelector("ul").replaceChildren(
    ...examples.map((example) => {
      const { name, blob } = example;
      example.url ??= URL.createObjectURL(blob);
      const label = labels[Number.parseInt(name, 10)] ?? name;
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.setAttribute("aria-label", words.example(glossed(label)));
      const picture = Object.assign(new Image(), { src: example.url, alt: "" });
      const caption = Object.assign(document.createElement("span"), { textContent: label });
      button.append(picture, caption);
      button.addEventListener("click", () => give([{ blob, name }]));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}
