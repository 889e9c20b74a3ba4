// What the page says of texts, in English. Every key is in each file of strings.

const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export default {
  title: "Give the model a text",

  text: "Text",
  invite: "Write or paste a text; the answer follows as you type.",
  clear: "Clear",
  cleared: "The text is empty",

  emptyHint: "Write a text, or try one of the examples below.",
  working: "Reading …",
  workingOn: (done, all) => `Reading text ${done} of ${all} …`,
  saidMany: (number) => `${count(number, "text", "texts")} classified.`,
  better: "A text like those it learnt from works best.",
  seen: (tokens, unknown) =>
    `What the model saw: ${count(tokens, "token", "tokens")}${unknown ? `, of which it does not know ${unknown.toLocaleString("en")} (□)` : ""}`,
  whyWorking: (share) => `Leaving out one token after another … ${Math.round(share * 100)} %`,
  whyWords: (label, token, before, after) =>
    `${label} rests most on “${token}”: without it, its probability goes from ${before} to ${after}.`,
  whyNothing: (label) => `No single token matters much: ${label} stays as likely without any of them.`,

  examplesHint: "One a class, from the test set: the model was not trained on them.",

  privacyServer: "Texts go to the server this page came from, and nowhere else.",
  privacyBrowser: "The model runs in your browser: texts do not leave this device.",

  problems: {
    busy: ({ seconds }) => [
      "The server is busy.",
      seconds
        ? `Too many texts are waiting. Try again in ${count(seconds, "second", "seconds")}.`
        : "It is starting, stopping, or has too many texts waiting. Try again in a moment.",
    ],
    large: () => ["The text is too long for the server.", "Give it in parts."],
    refused: () => ["The server cannot read this as a text.", "Write it anew."],
    slow: () => ["The text arrived too slowly.", "Try again, or give a shorter text."],
    nothing: () => ["There is no text in that.", "Write one, or choose an example."],
  },
};
