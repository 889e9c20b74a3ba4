// Which language the page speaks, and putting it on the page.

import { keep, recall } from "./kept.js";
import en from "./strings.en.js";
import ko from "./strings.ko.js";

const ALL = { en, ko };
const listeners = [];

/** The words of the language that is spoken now. */
export let words = en;

/** Calls a function whenever the language changes. */
export function onLanguage(listener) {
  listeners.push(listener);
}

/** Speaks the language chosen last time, or the browser's if it is known, or English. */
export function speakFirst() {
  const wanted = [recall("language"), ...navigator.languages];
  const codes = wanted.filter(Boolean).map((code) => code.slice(0, 2));
  speak(codes.find((code) => code in ALL) ?? "en");
}

/** Speaks a language from here on, and keeps the choice. */
export function choose(code) {
  keep("language", code);
  speak(code);
}

/**
 * Learns the words of a kind of data. What the page has words for itself may be said better there.
 *
 * @param {object} more By code of a language.
 */
export function learn(more) {
  for (const code of Object.keys(ALL)) {
    const { problems, ...others } = more[code];
    ALL[code] = { ...ALL[code], ...others, problems: { ...ALL[code].problems, ...problems } };
  }
  speak(document.documentElement.lang);
}

/** The names of the languages, by code. */
export function languages() {
  return Object.entries(ALL).map(([code, { language }]) => [code, language]);
}

/** A class as the model names it and, in brackets, in the language that is spoken. */
export function glossed(label) {
  return words.labels[label] ? `${label} (${words.labels[label]})` : label;
}

/**
 * Writes a probability as a percentage. What is not quite none or all is not rounded to it.
 *
 * @param {number} share From 0 to 1.
 * @param {number} [digits] After the point.
 */
export function percent(share, digits = 0) {
  const format = { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits };
  const written = (value) => value.toLocaleString(document.documentElement.lang, format);
  const least = 10 ** -(digits + 2);
  if (share > 0 && share < least / 2) return `<${written(least)}`;
  if (share < 1 && share >= 1 - least / 2) return `>${written(1 - least)}`;
  return written(share);
}

function speak(code) {
  words = ALL[code];
  document.documentElement.lang = code;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = words[element.dataset.text];
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", words[element.dataset.label]);
  }
  document.title = `${words.title} – flaxmill`;
  for (const listener of listeners) listener();
}
