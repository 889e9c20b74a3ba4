// Answers that follow a hand, such as one that draws or types: one question at a time, and the last
// one is always about how things are now.

/** Something that goes on: it is one result, however often it changes. */
export class Live {
  /**
   * @param {object} desk Where the questions are asked and the answers shown.
   * @param {object} source
   * @param {() => Promise<object>} source.given Returns what is there now.
   * @param {() => boolean} source.inSight Whether the answer is still wanted.
   * @param {() => boolean} source.rests Whether the hand rests, so that the answer is also said.
   */
  constructor(desk, source) {
    Object.assign(this, { desk, source });
    this.thing = Symbol("live");
    this.asking = false;
    this.changed = false;
  }

  /** Shows the answer to what is there now. */
  async ask() {
    if (!this.desk.model) return; // it may be asked again when the model is ready
    this.changed = true;
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.changed) await this.askOnce();
    } catch (error) {
      this.desk.tell(error, () => this.ask());
    } finally {
      this.asking = false;
    }
  }

  /** Ends it: nothing is there, and what comes next is another thing. */
  end() {
    this.thing = Symbol("live");
    this.changed = false;
    this.desk.show(null);
  }

  async askOnce() {
    const { desk, source, thing } = this;
    this.changed = false;
    const result = await desk.ask(await source.given(), thing);
    if (thing !== this.thing || !source.inSight()) return; // ended or left in the meantime
    desk.history.add(result);
    desk.show(result);
    desk.calm();
    if (!this.changed && source.rests()) desk.say(desk.answer.summary());
  }
}
