// The answer to what was given: as its kind tells it, what the model saw, and what mattered in it.

import { words } from "./language.js";
import { Why } from "./why.js";

const $ = (id) => document.getElementById(id);

/** The panel that shows a result. */
export class Answer {
  /** @param {object} desk */
  constructor(desk) {
    this.desk = desk;
    this.result = null;
    this.telling = desk.parts.answer.mount(desk);
    this.why = new Why(desk);
  }

  /** Shows a result, or with null none. */
  show(result) {
    if (result !== this.result) this.why.forget(result);
    this.result = result;
    this.translate();
  }

  /** Says that things are on their way, where no answer is to be seen yet. */
  wait(text) {
    $("empty-words").textContent = text ?? words.empty;
    $("empty-hint").hidden = Boolean(text);
    $("empty").querySelector("progress").hidden = !text;
    $("result").setAttribute("aria-busy", Boolean(text));
  }

  /** Draws everything, in the language of now. */
  translate() {
    const { desk, result } = this;
    $("answer").hidden = !result;
    $("empty").hidden = Boolean(result);
    desk.field.caption?.(result ? this.summary() : "");
    if (!result) return desk.model && this.wait(null);
    this.telling.show(result.answer);
    desk.field.sight(result);
    this.why.show();
  }

  /** The answer in a sentence. */
  summary() {
    return this.desk.parts.answer.summary(this.result.answer, this.desk);
  }
}
