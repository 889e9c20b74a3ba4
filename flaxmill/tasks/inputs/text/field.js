// Texts on the page: what one is to the model, and the place where a person writes one. What the
// page wants of this file is written down in serve/page/parts.js.

import en from "./strings.en.js";
import ko from "./strings.ko.js";
import { encode, pieces, UNKNOWN } from "./tokens.js";

const PAUSE = 120; // milliseconds after the last key until the model is asked
const SHORT = 40; // letters of a text that stand for it

const $ = (id) => document.getElementById(id);

export const words = { en, ko };

export const hint = (_, words) => words.better;

/** A text that is given is `{text}`. */
export const called = ({ text }) =>
  text.length > SHORT ? `${Array.from(text).slice(0, SHORT).join("")} …` : text;

export const example = async (_, blob) => ({ text: (await blob.text()).trim() });

export function thumbnail({ text }) {
  const shown = document.createElement("span");
  shown.className = "words-shown";
  shown.textContent = text;
  return shown;
}

export function request({ text }) {
  if (!text.trim()) throw Object.assign(new Error("nothing"), { kind: "nothing", facts: {} });
  const headers = { "Content-Type": "application/json" };
  return { query: { seen: 1 }, headers, body: JSON.stringify({ texts: [text] }) };
}

/** Cuts what the server says that the model saw, which has no more tokens than these. */
export function seen(said, { preprocess }) {
  const base64 = said.seen.slice(said.seen.indexOf(",") + 1);
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return encode(new TextDecoder().decode(bytes), preprocess);
}

export async function read({ text }, { preprocess }) {
  if (!text.trim()) throw Object.assign(new Error("nothing"), { kind: "nothing", facts: {} });
  return encode(text, preprocess);
}

/** Fills up to the largest size, which is the one that a server computes with. */
export function collate(texts, { inputs: [{ name, dtype }], sizes }) {
  const length = sizes.at(-1);
  const data = new Int32Array(texts.length * length);
  texts.forEach((tokens, i) => data.set(tokens, i * length));
  return { [name]: { data, shape: [texts.length, length], dtype } };
}

/** The text with each token, one after another, not known. */
export const without = (tokens) => Array.from(tokens, (_, i) => tokens.with(i, UNKNOWN));

/** Which token mattered most, and how much each did. */
export function matter(falls) {
  const most = Math.max(...falls);
  return { most, at: falls.indexOf(most), falls };
}

export function mount(desk) {
  return new Field(desk);
}

/** A place to write in, with the model's answer following the hand. */
class Field {
  constructor(desk) {
    this.desk = desk;
    this.text = $("text");
    this.timer = 0;
    this.live = desk.live({
      given: async () => ({ text: this.text.value }),
      inSight: () => Boolean(this.text.value.trim()),
      rests: () => true,
    });
    this.text.addEventListener("input", () => this.changed());
    $("clear").addEventListener("click", () => {
      this.text.value = "";
      this.changed();
      this.text.focus();
      desk.say(desk.words.cleared);
    });
  }

  changed() {
    clearTimeout(this.timer);
    $("clear").disabled = !this.text.value;
    if (this.text.value.trim()) this.timer = setTimeout(() => this.live.ask(), PAUSE);
    else this.live.end();
  }

  /** The model answers from here on, maybe to what was written meanwhile. */
  ready() {
    this.changed();
  }

  show({ given, live }) {
    if (live && document.activeElement === this.text) return; // somebody is writing there
    this.text.value = given.text;
    $("clear").disabled = false;
  }

  caption(text) {
    $("live").textContent = text;
  }

  sight({ seen }) {
    const { signature, words } = this.desk;
    const spans = pieces(seen, signature.preprocess).map((piece, i) => {
      const span = document.createElement("span");
      span.classList.toggle("unknown", seen[i] === UNKNOWN);
      span.textContent = piece;
      return span;
    });
    $("seen").replaceChildren(...spans);
    const unknown = seen.filter((token) => token === UNKNOWN).length;
    $("seen-words").textContent = words.seen(seen.length, unknown);
  }

  glow(_, found) {
    [...$("seen").children].forEach((span, i) => {
      const share = found ? Math.max(0, found.falls[i] / found.most) : 0;
      span.style.background =
        share > 0.05 ? `color-mix(in srgb, var(--accent) ${Math.round(60 * share)}%, transparent)` : "";
    });
  }

  explain(found, { name, before, after }) {
    const { words } = this.desk;
    if (!found) return words.whyNothing(name);
    const token = $("seen").children[found.at].textContent.trim();
    return words.whyWords(name, token, before, after);
  }

  translate() {
    this.text.placeholder = this.desk.words.invite;
  }
}
