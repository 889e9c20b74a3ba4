// From pictures to answers: asks the model, shows what it says, and remembers it.

import { Answer, severalHold } from "./answer.js";
import { History } from "./history.js";
import { called, words } from "./language.js";
import { calm, tell } from "./notice.js";

const ALIKE = ["gone", "token", "busy"]; // what befell one picture would befall the next

const $ = (id) => document.getElementById(id);

/** Where pictures meet the model. */
export class Desk {
  /**
   * @param {object} model As model-server.js or model-browser.js opens it.
   * @param {() => void} asPicture Opens the tab where the picture that was given is shown.
   */
  constructor(model, asPicture) {
    Object.assign(this, { model, asPicture });
    const { signature } = model;
    this.labels = signature.labels;
    this.answer = new Answer(signature, model, tell);
    const shape = signature.inputs[0].shape.slice(1);
    this.history = new History($("history"), shape, (result) => this.comeBackTo(result));
    this.given = null; // the result of the picture that was given last
  }

  /**
   * Classifies one picture.
   *
   * @param {Blob} blob
   * @param {object} facts What else is known of it: its name, how it came.
   * @returns {Promise<object>} The facts, and `seen`, `probabilities`, `order` (classes, the
   *     likeliest first) and `said`, the labels that are the answer: the likeliest one, or where any
   *     number may hold, all whose probability is above one half.
   */
  async classified(blob, facts) {
    const { seen, probabilities } = await this.model.classify(blob);
    const order = this.labels.map((_, i) => i);
    order.sort((a, b) => probabilities[b] - probabilities[a]);
    const answer = severalHold(this.model.signature)
      ? order.filter((i) => probabilities[i] > 0.5)
      : order.slice(0, 1);
    const said = answer.map((i) => this.labels[i]);
    return { ...facts, seen, probabilities, order, said };
  }

  /** Classifies pictures one after the other; one that fails stops none of the others. */
  async give(pictures) {
    this.asPicture();
    calm();
    const failed = [];
    let problem = null;
    for (const [i, { blob, ...facts }] of pictures.entries()) {
      const many = pictures.length > 1;
      this.answer.wait(many ? words.workingOn(i + 1, pictures.length) : words.working);
      try {
        const url = URL.createObjectURL(blob);
        const result = await this.classified(blob, { ...facts, url });
        this.history.add(result);
        this.present(result);
      } catch (error) {
        problem = error;
        failed.push(pictures[i]);
        if (!ALIKE.includes(error.kind)) continue;
        failed.push(...pictures.slice(i + 1));
        break;
      }
    }
    this.answer.wait(null);
    this.announce(pictures.length - failed.length);
    const names = pictures.length > 1 ? failed.map(called) : [];
    if (problem) tell(problem, () => this.give(failed), names);
  }

  announce(number) {
    if (number === 0) return;
    $("result").scrollIntoView({ block: "nearest" }); // on a phone it is further down
    $("said").textContent = number > 1 ? words.saidMany(number) : this.answer.summary();
  }

  present(result) {
    this.answer.show(result);
    if (result.live) return;
    this.given = result;
    const shown = $("given");
    shown.onload = () => shown.classList.toggle("small", shown.naturalWidth < 100);
    shown.src = result.url;
    shown.hidden = false;
    $("drop").classList.add("full");
    this.describeGiven();
  }

  comeBackTo(result) {
    if (!result.live) this.asPicture();
    this.present(result);
    $("result").focus({ preventScroll: true });
    $("result").scrollIntoView({ block: "nearest" });
  }

  /** Says everything again, in the language of now. */
  translate() {
    this.answer.translate();
    this.history.translate();
    this.describeGiven();
  }

  describeGiven() {
    $("drop-words").textContent = this.given ? words.another : words.drop;
    if (this.given) $("given").alt = words.given(called(this.given));
  }
}
