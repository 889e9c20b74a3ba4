// How the page tells the answer of a model that names one class: see serve/page/parts.js.

import { Bars, byLabel, likeliest } from "./bars.js";

const UNSURE = 0.5; // below this probability the page says so

export const words = {
  en: {
    knows: (labels, list) =>
      labels.length > 12
        ? `It tells ${labels.length} classes apart, and takes anything else for one of them.`
        : `It knows ${list(labels)}, and takes anything else for one of them.`,
    bars: "The likeliest classes",
    said: (label, percent) => `${label}, ${percent}.`,
    unsure: "The model is not sure.",
  },
  ko: {
    knows: (labels, list) =>
      labels.length > 12
        ? `${labels.length}가지를 구분합니다. 그 밖의 것도 이 가운데 하나로 답합니다.`
        : `구분할 수 있는 것은 ${list(labels)}입니다. 그 밖의 것도 이 가운데 하나로 답합니다.`,
    bars: "가능성이 높은 순서",
    said: (label, percent) => `${label}, ${percent}.`,
    unsure: "모델이 확신하지 못합니다.",
  },
};

export const output = "probabilities";

export const query = ({ labels }) => ({ top: labels.length });

export const heard = (said, signature) => answerOf(byLabel(said, signature));

export const decode = (row) => answerOf([...row]);

function answerOf(probabilities) {
  return { probabilities, order: likeliest(probabilities) };
}

export const about = ({ labels }, { words }) => words.knows(labels, words.list);

export function summary(answer, desk) {
  const { name, share } = headline(answer, desk);
  return desk.words.said(name, share);
}

export function caption(answer, desk) {
  const { name, share } = headline(answer, desk);
  return { text: labelOf(answer, desk.signature), small: share, spoken: `${name}, ${share}` };
}

export function watched({ order }, { labels }) {
  return { index: order[0], label: labels[order[0]] };
}

export function mount(desk) {
  const bars = new Bars(desk);
  const show = (answer) => {
    const unsure = answer.probabilities[answer.order[0]] < UNSURE;
    const hint = unsure ? `${desk.words.unsure} ${desk.hint()}`.trim() : "";
    bars.show(answer, { ...headline(answer, desk), unsure: hint });
  };
  return { show };
}

const labelOf = ({ order }, { labels }) => labels[order[0]];

function headline(answer, desk) {
  return {
    name: desk.glossed(labelOf(answer, desk.signature)),
    share: desk.percent(answer.probabilities[answer.order[0]]),
  };
}
