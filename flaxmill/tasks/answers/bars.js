// What answers of named classes share: the likeliest, each with a bar for its probability.

const BARS = 5;

/** The answer as the server has it: a probability for each label, by its name. */
export function byLabel({ predictions }, { labels }) {
  const found = new Map(predictions.map(({ label, probability }) => [label, probability]));
  return labels.map((label) => found.get(label) ?? 0);
}

/** The places of the labels, the likeliest first. */
export function likeliest(probabilities) {
  const order = probabilities.map((_, i) => i);
  return order.sort((a, b) => probabilities[b] - probabilities[a]);
}

/** A headline, the bars, and a hint for where the model is not sure. */
export class Bars {
  /** @param {object} desk As serve/page/desk.js describes it. */
  constructor(desk) {
    this.desk = desk;
    this.name = made("span", { className: "name" });
    this.share = made("span", { className: "share" });
    this.top = made("p", { id: "top" }, this.name, " ", this.share);
    const { labels } = desk.signature;
    this.bars = Array.from({ length: Math.min(BARS, labels.length) }, bar);
    this.list = made("ol", { id: "bars" }, ...this.bars.map(({ item }) => item));
    this.unsure = made("p", { id: "unsure", className: "hint", hidden: true });
    desk.told.replaceChildren(this.top, this.list, this.unsure);
  }

  /**
   * Tells an answer.
   *
   * @param {{probabilities: number[], order: number[]}} answer
   * @param {{name: string, share: string, unsure: string}} words The headline, and the hint, if any.
   */
  show({ probabilities, order }, { name, share, unsure }) {
    const { desk } = this;
    this.name.textContent = name;
    this.share.textContent = share;
    this.list.setAttribute("aria-label", desk.words.bars);
    this.bars.forEach((each, i) => {
      const probability = probabilities[order[i]];
      each.name.textContent = desk.glossed(desk.signature.labels[order[i]]);
      each.share.textContent = desk.percent(probability, 1);
      each.rail.style.setProperty("--share", probability);
    });
    this.unsure.hidden = !unsure;
    this.unsure.textContent = unsure;
  }
}

function bar() {
  const [name, rail, share] = ["name", "rail", "share"].map((className) =>
    made("span", { className }),
  );
  return { item: made("li", {}, name, share, rail), name, rail, share };
}

function made(element, attributes, ...children) {
  const found = Object.assign(document.createElement(element), attributes);
  found.append(...children);
  return found;
}
