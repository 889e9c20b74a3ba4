// Drawing, with the model's answer following the hand.

import { Sheet } from "./sheet.js";
import { words } from "./language.js";
import { calm, tell } from "./notice.js";
import { knowsDarkGround } from "./prepare.js";

const $ = (id) => document.getElementById(id);

/** The panel with the sheet: every change asks the model anew, one question at a time. */
export class Drawing {
  /** @param {Desk} desk Where the questions are asked and the answers shown. */
  constructor(desk) {
    this.desk = desk;
    this.started = Symbol("drawing"); // a drawing is one result, however often it changes
    this.asking = false;
    this.changed = false;
    const { signature } = desk.model;
    $("colour").hidden = signature.inputs[0].shape[3] === 1;
    this.sheet = new Sheet({
      canvas: $("sheet").querySelector("canvas"),
      pen: $("pen"),
      dark: knowsDarkGround(signature),
      setting: () => ({
        tool: document.querySelector("[name=tool]:checked").value,
        size: Number($("brush-size").value),
        colour: $("colour").hidden ? null : $("colour").querySelector("input").value,
      }),
      changed: (finished) => this.ask(finished),
      penMoved: (down) => ($("said").textContent = down ? words.penDown : words.penUp),
    });
    $("sheet").classList.add("empty");
    $("undo").addEventListener("click", () => this.sheet.undo());
    $("clear").addEventListener("click", () => this.sheet.clear());
  }

  /** Shows the answer to the drawing as it is now. */
  async ask(finished = false) {
    const { sheet } = this;
    $("undo").disabled = $("clear").disabled = sheet.isEmpty;
    $("sheet").classList.toggle("empty", sheet.isEmpty);
    if (sheet.isEmpty) {
      this.started = Symbol("drawing");
      this.desk.answer.show(null);
      if (finished) $("said").textContent = words.cleared;
      return;
    }
    this.changed = true;
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.changed && !sheet.isEmpty) await this.askOnce();
    } catch (error) {
      tell(error, () => this.ask(true));
    } finally {
      this.asking = false;
    }
  }

  async askOnce() {
    this.changed = false;
    const live = this.started;
    const picture = await this.sheet.picture();
    const result = await this.desk.classified(picture, { kind: "drawing", live });
    if (live !== this.started || $("draw").hidden) return; // cleared or left in the meantime
    this.desk.history.add(result);
    this.desk.answer.show(result);
    calm();
    if (!this.changed && !this.sheet.stroke) $("said").textContent = this.desk.answer.summary();
  }

  /** Says again what is to be said, in the language of now. */
  translate() {
    $("sheet").dataset.hint = words.drawHint(knowsDarkGround(this.desk.model.signature));
  }
}
