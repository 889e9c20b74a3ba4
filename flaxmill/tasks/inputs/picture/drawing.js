// Drawing, with the model's answer following the hand.

import { knowsDarkGround } from "./prepare.js";
import { Sheet } from "./sheet.js";

const $ = (id) => document.getElementById(id);

/** The panel with the sheet: every change asks the model anew. */
export class Drawing {
  /** @param {object} desk Where the questions are asked and the answers shown. */
  constructor(desk) {
    this.desk = desk;
    const { signature } = desk;
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
      penMoved: (down) => desk.say(down ? desk.words.penDown : desk.words.penUp),
    });
    this.live = desk.live({
      given: async () => ({ blob: await this.sheet.picture(), kind: "drawing" }),
      inSight: () => !$("draw").hidden,
      rests: () => !this.sheet.stroke,
    });
    $("sheet").classList.add("empty");
    $("undo").addEventListener("click", () => this.sheet.undo());
    $("clear").addEventListener("click", () => this.sheet.clear());
  }

  /** Shows the answer to the drawing as it is now. */
  ask(finished = false) {
    const { desk, sheet } = this;
    $("undo").disabled = $("clear").disabled = sheet.isEmpty;
    $("sheet").classList.toggle("empty", sheet.isEmpty);
    if (!sheet.isEmpty) return this.live.ask();
    this.live.end();
    if (finished) desk.say(desk.words.cleared);
  }

  /** Says again what is to be said, in the language of now. */
  translate() {
    const { words, signature } = this.desk;
    $("sheet").dataset.hint = words.drawHint(knowsDarkGround(signature));
  }
}
