// How the page tells the answer of a model of which any number of labels may hold: see
// serve/page/parts.js.

import { Bars, byLabel, likeliest } from "./bars.js";

const HOLDS = 0.5; // above this probability a label is said to hold

export const words = {
  en: {
    tells: (labels, list) =>
      labels.length > 12
        ? `For each of ${labels.length} labels, it says whether it holds.`
        : `For each of these labels, it says whether it holds: ${list(labels)}.`,
    bars: "The likeliest classes",
    saidLabels: (labels) => `Above one half: ${labels}.`,
    noLabel: "none of the labels",
  },
  ko: {
    tells: (labels, list) =>
      labels.length > 12
        ? `이름표 ${labels.length}가지가 각각 맞는지 답합니다.`
        : `다음 이름표가 각각 맞는지 답합니다: ${list(labels)}.`,
    bars: "가능성이 높은 순서",
    saidLabels: (labels) => `확률이 절반을 넘는 것: ${labels}.`,
    noLabel: "맞는 이름표 없음",
  },
};

export const output = "probabilities";

export const query = ({ labels }) => ({ top: labels.length });

export const heard = (said, signature) => answerOf(byLabel(said, signature), signature);

export const decode = (row, signature) => answerOf([...row], signature);

function answerOf(probabilities, { labels }) {
  const order = likeliest(probabilities);
  const said = order.filter((i) => probabilities[i] > HOLDS).map((i) => labels[i]);
  return { probabilities, order, said };
}

export const about = ({ labels }, { words }) => words.tells(labels, words.list);

export const summary = (answer, desk) => desk.words.saidLabels(holding(answer, desk));

export function caption(answer, desk) {
  const share = desk.percent(answer.probabilities[answer.order[0]]);
  const text = answer.said.join(", ") || desk.words.noLabel;
  return { text, small: share, spoken: `${holding(answer, desk)}, ${share}` };
}

export function watched({ order }, { labels }) {
  return { index: order[0], label: labels[order[0]] };
}

export function mount(desk) {
  const bars = new Bars(desk);
  const show = (answer) =>
    bars.show(answer, { name: holding(answer, desk), share: "", unsure: "" });
  return { show };
}

function holding({ said }, { words, glossed }) {
  return said.length ? words.list(said.map(glossed)) : words.noLabel;
}
