// Where a kind's parts and the model meet: asks the model, shows what it says, and remembers it.

import { Answer } from "./answer.js";
import { History } from "./history.js";
import { glossed, percent, words } from "./language.js";
import { Live } from "./live.js";
import { calm, tell } from "./notice.js";

const ALIKE = ["gone", "token", "busy"]; // what befell one would befall the next

const $ = (id) => document.getElementById(id);

/**
 * What the parts of a kind of data have of the page.
 *
 * To parts are `signature`, `words` (of the language of now), `glossed`, `percent`, the elements
 * `root` (of the field) and `told` (of the answer), and of the methods `give`, `live`, `show`,
 * `say`, `tell`, `calm` and `hint`.
 *
 * A result is `{given, seen, answer}`: what a person gave, in the form that the kind of input likes
 * best, what the model saw of it, and the answer, in the form that the kind of answer likes best.
 * Of something that goes on, such as a drawing, it also has `live`, alike for all its results.
 */
export class Desk {
  /**
   * @param {object} signature
   * @param {{input: object, answer: object}} parts As parts.js describes them.
   */
  constructor(signature, parts) {
    Object.assign(this, { signature, parts, glossed, percent, tell, calm });
    this.root = $("field");
    this.told = $("told");
    this.model = null; // as model-server.js or model-browser.js has it, when it is ready
    this.early = []; // what was given until then
    this.field = parts.input.mount(this);
    this.answer = new Answer(this);
    this.history = new History($("history"), this);
  }

  get words() {
    return words;
  }

  /** Begins to ask the model. */
  begin() {
    this.field.ready?.();
    if (this.early.length) this.give(this.early.splice(0));
  }

  /**
   * Asks the model about one thing.
   *
   * @param {object} given
   * @param {symbol} [live] Of something that goes on.
   * @returns {Promise<object>} The result.
   */
  async ask(given, live) {
    return { given, live, ...(await this.model.answer(given)) };
  }

  /** Asks about things one after the other; one that fails stops none of the others. */
  async give(things) {
    if (!this.model) {
      this.early.push(...things);
      return;
    }
    this.field.open?.();
    calm();
    const failed = [];
    let problem = null;
    for (const [i, given] of things.entries()) {
      this.wait(things.length > 1 ? words.workingOn(i + 1, things.length) : words.working);
      try {
        const result = await this.ask(given);
        this.history.add(result);
        this.show(result);
        this.field.show(result);
      } catch (error) {
        problem = error;
        failed.push(given);
        if (!ALIKE.includes(error.kind)) continue;
        failed.push(...things.slice(i + 1));
        break;
      }
    }
    this.wait(null);
    this.announce(things.length - failed.length);
    const names = things.length > 1 ? failed.map((given) => this.called(given)) : [];
    if (problem) tell(problem, () => this.give(failed), names);
  }

  /** Answers that follow a hand: see live.js. */
  live(source) {
    return new Live(this, source);
  }

  /** Shows a result, or with null none. */
  show(result) {
    this.answer.show(result);
  }

  /** Says that things are on their way, or with null that none is. */
  wait(text) {
    this.answer.wait(text);
  }

  /** Tells a screen reader. */
  say(text) {
    $("said").textContent = text;
  }

  /** What helps a model that is not sure, in words. */
  hint() {
    return this.parts.input.hint?.(this.signature, words) ?? "";
  }

  called(given) {
    return this.parts.input.called(given, words);
  }

  announce(number) {
    if (number === 0) return;
    $("result").scrollIntoView({ block: "nearest" }); // on a phone it is further down
    this.say(number > 1 ? words.saidMany(number) : this.answer.summary());
  }

  /** Shows a result of before again. */
  comeBackTo(result) {
    if (!result.live) this.field.open?.();
    this.show(result);
    this.field.show(result);
    $("result").focus({ preventScroll: true });
    $("result").scrollIntoView({ block: "nearest" });
  }

  /** Says everything again, in the language of now. */
  translate() {
    this.answer.translate();
    this.history.translate();
    this.field.translate();
  }
}
