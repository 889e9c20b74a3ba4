// A kind of input that the page has never heard of: words, each of which is its length to the model.

const PATIENCE = 30; // milliseconds that the hand rests before the model is asked

const own = {
  title: "Write the model a line",
  field: "Line",
  whyWords: (label, before, after, word) => `${label} by “${word}”: from ${before} to ${after}.`,
  whyNothing: (label) => `${label} by none.`,
};

export const words = { en: own, ko: own };

export const called = ({ text }) => text.slice(0, 20);

export const example = async (_, blob) => ({ text: await blob.text() });

export function thumbnail({ text }) {
  return Object.assign(document.createElement("q"), { textContent: text });
}

export function request({ text }) {
  return { body: JSON.stringify({ text }), headers: { "Content-Type": "application/json" } };
}

export const seen = ({ tokens }) => tokens;

export const read = ({ text }) => text.split(" ").filter(Boolean);

export function collate(lines, { inputs: [{ name, dtype }] }) {
  const longest = Math.max(1, ...lines.map((line) => line.length));
  const data = new Int32Array(lines.length * longest);
  lines.forEach((line, i) => data.set(line.map((word) => word.length), i * longest));
  return { [name]: { data, shape: [lines.length, longest], dtype } };
}

export const without = (line) => line.map((_, i) => line.filter((_, other) => other !== i));

export function matter(falls, line) {
  const most = Math.max(...falls);
  return { most, word: line[falls.indexOf(most)] };
}

export function mount(desk) {
  const field = desk.root.querySelector("textarea");
  const text = () => field.value.trim();
  let resting;
  const live = desk.live({
    given: async () => ({ text: text() }),
    inSight: () => true,
    rests: () => true,
  });
  const ask = () => (text() ? live.ask() : live.end());
  field.addEventListener("input", () => {
    clearTimeout(resting);
    resting = setTimeout(ask, PATIENCE);
  });
  const tokens = document.getElementById("tokens");
  const tell = (line, marked) =>
    tokens.replaceChildren(
      ...line.map((word) => {
        const element = document.createElement(word === marked ? "mark" : "span");
        return Object.assign(element, { textContent: `${word} ` });
      }),
    );
  return {
    ready: () => text() && live.ask(),
    show: ({ given }) => (field.value = given.text),
    sight: ({ seen }) => tell(seen),
    glow: ({ seen }, found) => tell(seen, found?.word),
    explain: (found, { name, before, after }) =>
      found ? desk.words.whyWords(name, before, after, found.word) : desk.words.whyNothing(name),
    translate: () => {},
  };
}
