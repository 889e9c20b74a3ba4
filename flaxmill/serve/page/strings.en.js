// What the page says, in English. Every key is in each file of strings. What it says of the things
// that a person gives, their kind may say better.

const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const megabytes = (bytes) => `${(bytes / 2 ** 20).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
const list = (names) => new Intl.ListFormat("en").format(names);

export default {
  language: "English",
  skip: "Go to the answer",
  title: "Ask the model",
  darkMode: "Dark mode",
  lightMode: "Light mode",
  switchLanguage: "Language",

  list,
  loading: "Loading the model …",
  loadingHere: "Loading the model into your browser, once …",
  noPanel: (takes, gives) =>
    `This model takes ${takes} and gives ${gives}, and the page has no place to try that. Programs can ask it all the same: what goes in and what comes out is described in`,

  result: "Answer",
  empty: "The answer appears here.",
  emptyHint: "Give something, or try one of the examples below.",
  working: "Working …",
  workingOn: (done, all) => `Working on ${done} of ${all} …`,
  saidMany: (number) => `${count(number, "answer", "answers")} given.`,
  why: "Show what mattered",
  whyHide: "Hide what mattered",
  whyWorking: (share) => `Leaving parts out … ${Math.round(share * 100)} %`,

  examples: "Examples",
  examplesHint: "From the test set: the model was not trained on them.",
  example: (label) => `Example: ${label}`,
  history: "So far",
  historyHint: "Kept in this tab only.",
  historyClear: "Clear list",
  historyItem: (name, answer) => `${name}: ${answer}`,

  token: "Token",
  tokenHint: "This server answers only with a token. Whoever started it knows it; it is kept until you close this tab.",
  tokenKeep: "Use token",
  again: "Try again",
  dismiss: "Dismiss",
  serverSaid: (said) => `The server’s words: ${said}`,

  privacyServer: "What you give goes to the server this page came from, and nowhere else.",
  privacyBrowser: "The model runs in your browser: what you give does not leave this device.",
  version: (name, version) => `${name}, version ${version}`,
  weights: (digest) => `weights ${digest}`,
  licence: (licence) => `Licence: ${licence}`,

  labels: {},

  problems: {
    gone: () => [
      "The server does not answer.",
      "It may have stopped, or the connection is lost. Start it again with “flaxmill serve”, then try again.",
    ],
    busy: ({ seconds }) => [
      "The server is busy.",
      seconds
        ? `Too much is waiting. Try again in ${count(seconds, "second", "seconds")}.`
        : "It is starting, stopping, or has too much waiting. Try again in a moment.",
    ],
    token: () => ["The server wants a token.", "Enter the right one above, then try again."],
    large: ({ max_body_bytes: bytes }) => [
      "That is too large for the server.",
      bytes ? `It takes up to ${megabytes(bytes)} at a time. Give less.` : "Give less.",
    ],
    refused: () => ["The server cannot read this.", "Give something else."],
    slow: () => ["That arrived too slowly.", "Try again, or give less."],
    failed: ({ status }) => [
      `The server failed (status ${status}).`,
      "Try again. If it stays so, its log says why.",
    ],
    unloaded: () => [
      "The model could not be loaded.",
      "See that all files of this folder are on the web server, then load the page again.",
    ],
    defect: () => ["The page itself failed.", "Load it again. If it stays so, please report it."],
  },
};
