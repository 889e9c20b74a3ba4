// The results so far, to come back to. Nothing is stored beyond this tab.

import { answered, called, percent, words } from "./language.js";
import { show } from "./pixels.js";

const KEPT = 30;

/** A strip of results, newest first. */
export class History {
  /**
   * @param {HTMLElement} section Holds the list and a button that clears it.
   * @param {number[]} shape Height, width, channel of what the model sees.
   * @param {(result: object) => void} chosen Is given the result that is clicked.
   */
  constructor(section, shape, chosen) {
    Object.assign(this, { section, shape, chosen });
    this.list = section.querySelector("ul");
    this.results = [];
    section.querySelector("button").addEventListener("click", () => this.clear());
  }

  /** Puts a result first; a drawing that goes on takes the place of what it was. */
  add(result) {
    const goesOn = result.live && this.results[0]?.live === result.live;
    const gone = goesOn ? this.results.splice(0, 1) : this.results.splice(KEPT - 1);
    forget(gone);
    this.results.unshift(result);
    this.translate();
  }

  clear() {
    forget(this.results);
    this.results = [];
    this.translate();
  }

  /** Draws the strip, in the language of now. */
  translate() {
    this.section.hidden = this.results.length === 0;
    this.list.replaceChildren(...this.results.map((result) => this.item(result)));
  }

  item(result) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const share = percent(result.probabilities[result.order[0]]);
    button.setAttribute("aria-label", words.historyItem(called(result), answered(result), share));
    const picture = document.createElement("canvas");
    show(picture, result.seen, this.shape);
    const label = document.createElement("span");
    label.textContent = result.said.join(", ") || words.noLabel;
    const small = Object.assign(document.createElement("small"), { textContent: share });
    button.append(picture, label, small);
    button.addEventListener("click", () => this.chosen(result));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }
}

function forget(results) {
  for (const { url } of results) URL.revokeObjectURL(url);
}
