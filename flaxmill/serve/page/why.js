// What an answer rests on: part after part is left out, and it is seen how much less sure the model
// is then (occlusion; of pictures, Zeiler and Fergus 2014). It needs forward passes only, so every
// export can do it. Which parts there are, and how what mattered is shown, the kind of input knows.

import { words } from "./language.js";

const MATTERS = 0.02; // a smaller drop in probability is called none

const $ = (id) => document.getElementById(id);

/** The button, and the words beside what it shows. */
export class Why {
  /** @param {object} desk */
  constructor(desk) {
    this.desk = desk;
    this.result = null;
    this.found = null; // or {share} while it is looked for, or what was found
    this.possible = Boolean($("why")) && Boolean(desk.parts.answer.watched);
    if (!this.possible) return;
    $("why").addEventListener("click", () => this.toggle());
  }

  /** Begins anew, with another result or with none. */
  forget(result) {
    this.result = result;
    this.found = null;
  }

  async toggle() {
    const { result } = this;
    const wanted = () => this.result === result && this.found; // none other came in between
    if (this.found) this.found = null;
    else {
      this.found = { share: 0 };
      this.show();
      try {
        const found = await this.look(result, (share) => wanted() && this.show({ share }));
        if (!wanted()) return;
        this.found = found;
      } catch (error) {
        if (this.result === result) this.found = null;
        this.desk.tell(error, () => this.toggle());
      }
    }
    this.show();
  }

  async look({ seen, answer }, progress) {
    const { parts, model, signature } = this.desk;
    const { index } = parts.answer.watched(answer, signature);
    const asked = [seen, ...parts.input.without(seen, signature)];
    const rows = await model.infer(asked, (done) => progress(done / asked.length));
    const [before, ...after] = rows.map((row) => row[index]);
    const falls = after.map((probability) => before - probability);
    return { before, ...parts.input.matter(falls, seen, signature) };
  }

  /** Shows the overlay and its words: none, under way, or found. */
  show(found = this.found) {
    if (!this.possible) return;
    const done = found?.most !== undefined;
    $("why").textContent = this.found ? words.whyHide : words.why;
    $("why").setAttribute("aria-pressed", Boolean(this.found));
    this.desk.field.glow(this.result, done && found.most >= MATTERS ? found : null);
    $("why-words").setAttribute("aria-busy", Boolean(found) && !done); // said when it is done
    $("why-words").textContent = !found ? "" : done ? this.told(found) : words.whyWorking(found.share);
  }

  told(found) {
    const { desk } = this;
    const { label } = desk.parts.answer.watched(this.result.answer, desk.signature);
    const name = desk.glossed(label);
    if (found.most < MATTERS) return desk.field.explain(null, { name });
    const before = desk.percent(found.before);
    const after = desk.percent(found.before - found.most);
    return desk.field.explain(found, { name, before, after });
  }
}
