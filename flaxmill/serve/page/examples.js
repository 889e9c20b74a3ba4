// Test pictures to click.

import { glossed, words } from "./language.js";
import { tell } from "./notice.js";
import { ask } from "./request.js";

/**
 * Shows the examples that came with the model.
 *
 * @param {string[]} names Files in `examples/`, each beginning with the number of its class.
 * @param {string[]} labels
 * @param {(pictures: {blob: Blob, name: string}[]) => void} give
 */
export function showExamples(names, labels, give) {
  const section = document.getElementById("examples");
  section.hidden = names.length === 0;
  section.querySelector("ul").replaceChildren(
    ...names.map((name) => {
      const label = labels[Number.parseInt(name, 10)] ?? name;
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.setAttribute("aria-label", words.example(glossed(label)));
      const picture = Object.assign(new Image(), { src: `examples/${name}`, alt: "" });
      const caption = Object.assign(document.createElement("span"), { textContent: label });
      button.append(picture, caption);
      const clicked = async () => {
        try {
          give([{ blob: await (await ask(`examples/${name}`)).blob(), name }]);
        } catch (error) {
          tell(error, clicked);
        }
      };
      button.addEventListener("click", clicked);
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}
