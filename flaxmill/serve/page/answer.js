// The answer to one picture: its class, the bars, what the model saw, and what mattered in it.

import { answered, glossed, percent, words } from "./language.js";
import { show } from "./pixels.js";
import { knowsDarkGround } from "./prepare.js";
import { glow, saliency } from "./saliency.js";

const BARS = 5;
const UNSURE = 0.5; // below this probability the page says so
const FINE = 96; // pixels along a side, from which on they are not shown one by one
const MATTERS = 0.02; // a smaller drop in probability is called none

const $ = (id) => document.getElementById(id);

/** The panel that shows a result. */
export class Answer {
  /**
   * @param {object} signature
   * @param {{infer: Function, batch: number}} model
   * @param {(error: Error, again: Function) => void} failed Is told when saliency fails.
   */
  constructor(signature, model, failed) {
    Object.assign(this, { signature, model, failed });
    this.shape = signature.inputs[0].shape.slice(1);
    this.result = null;
    this.several = severalHold(signature);
    document.body.classList.toggle("photographs", Math.min(...this.shape.slice(0, 2)) >= FINE);
    this.bars = Array.from({ length: Math.min(BARS, signature.labels.length) }, bar);
    $("bars").replaceChildren(...this.bars.map(({ item }) => item));
    $("why").addEventListener("click", () => this.toggleWhy());
  }

  /** Shows a result, or with null none. */
  show(result) {
    if (result !== this.result) this.why = null;
    this.result = result;
    this.translate();
  }

  /** Says that pictures are on their way, where no answer is to be seen yet. */
  wait(text) {
    $("empty-words").textContent = text ?? words.empty;
    $("empty-hint").hidden = Boolean(text);
    $("empty").querySelector("progress").hidden = !text;
    $("result").setAttribute("aria-busy", Boolean(text));
  }

  /** Draws everything, in the language of now. */
  translate() {
    const { result } = this;
    $("answer").hidden = !result;
    $("empty").hidden = Boolean(result);
    $("live").textContent = "";
    if (!result) return this.wait(null);
    const { probabilities, order } = result;
    $("top").querySelector(".name").textContent = answered(result);
    $("top").querySelector(".share").textContent = this.several
      ? ""
      : percent(probabilities[order[0]]);
    $("live").textContent = this.summary();
    this.bars.forEach((each, i) => {
      const share = probabilities[order[i]];
      each.name.textContent = glossed(this.signature.labels[order[i]]);
      each.share.textContent = percent(share, 1);
      each.rail.style.setProperty("--share", share);
    });
    $("unsure").hidden = this.several || probabilities[order[0]] >= UNSURE;
    $("unsure").textContent = words.unsure(knowsDarkGround(this.signature));
    const [height, width, channels] = this.shape;
    show($("seen"), result.seen, this.shape);
    $("seen-words").textContent = words.seen(width, height, channels === 1);
    $("seen").setAttribute("aria-label", words.seen(width, height, channels === 1));
    this.showWhy();
  }

  /** What a screen reader is told. */
  summary() {
    const { probabilities, order } = this.result;
    if (this.several) return words.saidLabels(answered(this.result));
    return words.said(answered(this.result), percent(probabilities[order[0]]));
  }

  async toggleWhy() {
    const { result } = this;
    if (this.why) this.why = null;
    else {
      this.why = { share: 0 };
      this.showWhy();
      try {
        const found = await saliency(
          result.seen,
          this.shape,
          this.model,
          result.order[0],
          (share) => this.result === result && this.why && this.showWhy({ share }),
        );
        if (this.result !== result || !this.why) return; // another picture came in between
        this.why = found;
      } catch (error) {
        if (this.result === result) this.why = null;
        this.failed(error, () => this.toggleWhy());
      }
    }
    this.showWhy();
  }

  /** Shows the overlay and its words: none, under way, or found. */
  showWhy(found = this.why) {
    const shown = Boolean(found?.drops) && found.most >= MATTERS;
    $("why").textContent = this.why ? words.whyHide : words.why;
    $("why").setAttribute("aria-pressed", Boolean(this.why));
    $("heat").hidden = !shown;
    if (shown) glow($("heat"), found.drops, this.shape);
    $("why-words").setAttribute("aria-busy", Boolean(found) && !found.drops); // said when it is done
    $("why-words").textContent = found ? this.whyWords(found) : "";
  }

  whyWords({ share, drops, most, before, at }) {
    if (!drops) return words.whyWorking(share);
    const label = glossed(this.signature.labels[this.result.order[0]]);
    if (most < MATTERS) return words.whyNothing(label);
    const [row, column] = at.map((place) => Math.min(2, Math.floor(place * 3)));
    const place = words.places[row][column];
    return words.whyWords(label, percent(before), percent(before - most), place);
  }
}

/** Whether any number of labels may hold, each with a probability of its own. */
export function severalHold(signature) {
  return signature.task === "image-multilabel-classification";
}

function bar() {
  const item = document.createElement("li");
  const [name, rail, share] = ["name", "rail", "share"].map((kind) =>
    Object.assign(document.createElement("span"), { className: kind }),
  );
  item.append(name, share, rail);
  return { item, name, rail, share };
}
