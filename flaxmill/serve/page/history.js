// The results so far, to come back to. Nothing is stored beyond this tab.

import { words } from "./language.js";

const KEPT = 30;

/** A strip of results, newest first. */
export class History {
  /**
   * @param {HTMLElement} section Holds the list and a button that clears it.
   * @param {object} desk Comes back to a result that is clicked.
   */
  constructor(section, desk) {
    Object.assign(this, { section, desk });
    this.list = section.querySelector("ul");
    this.results = [];
    section.querySelector("button").addEventListener("click", () => this.clear());
  }

  /** Puts a result first; something that goes on takes the place of what it was. */
  add(result) {
    const goesOn = result.live && this.results[0]?.live === result.live;
    const gone = goesOn ? this.results.splice(0, 1) : this.results.splice(KEPT - 1);
    this.forget(gone);
    this.results.unshift(result);
    this.translate();
  }

  clear() {
    this.forget(this.results);
    this.results = [];
    this.translate();
  }

  forget(results) {
    for (const result of results) this.desk.parts.input.forget?.(result);
  }

  /** Draws the strip, in the language of now. */
  translate() {
    this.section.hidden = this.results.length === 0;
    this.list.replaceChildren(...this.results.map((result) => this.item(result)));
  }

  item(result) {
    const { desk } = this;
    const { input, answer } = desk.parts;
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const { text, small, spoken } = answer.caption(result.answer, desk);
    button.setAttribute("aria-label", words.historyItem(desk.called(result.given), spoken));
    const label = Object.assign(document.createElement("span"), { textContent: text });
    const beside = Object.assign(document.createElement("small"), { textContent: small });
    button.append(input.thumbnail(result.given, result.seen, desk.signature), label, beside);
    button.addEventListener("click", () => desk.comeBackTo(result));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }
}
