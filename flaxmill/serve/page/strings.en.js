// What the page says, in English. Every key is in each file of strings.

const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const megabytes = (bytes) => `${(bytes / 2 ** 20).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
const list = (names) => new Intl.ListFormat("en").format(names);

export default {
  language: "English",
  skip: "Go to the answer",
  title: "Show the model a picture",
  darkMode: "Dark mode",
  lightMode: "Light mode",
  switchLanguage: "Language",

  knows: (labels) =>
    labels.length > 12
      ? `It tells ${labels.length} classes apart, and takes anything else for one of them.`
      : `It knows ${list(labels)}, and takes anything else for one of them.`,
  tells: (labels) =>
    labels.length > 12
      ? `For each of ${labels.length} labels, it says whether it holds.`
      : `For each of these labels, it says whether it holds: ${list(labels)}.`,
  list,
  noLabel: "none of the labels",
  loading: "Loading the model …",
  loadingHere: "Loading the model into your browser, once …",

  ways: "Ways to give a picture",
  picture: "Picture",
  draw: "Draw",
  camera: "Camera",
  choose: "Choose pictures",
  drop: "Drop pictures here, paste one, or choose from your files.",
  another: "Drop, paste or click for another.",
  dropNow: "Let go to classify",
  given: (name) => `The picture you gave: ${name}`,
  pasted: "pasted picture",
  drawing: "drawing",
  photo: "photo",

  canvas: "Drawing area",
  drawHint: (dark) =>
    `Draw ${dark ? "light on dark" : "dark on light"}; the answer follows your hand.`,
  drawKeys:
    "With the keyboard: arrow keys move the pen, Shift moves it further, Space sets it down or lifts it, Ctrl+Z undoes.",
  tools: "Tool",
  shape: "Filled shape",
  brush: "Brush",
  eraser: "Eraser",
  size: "Size",
  colour: "Colour",
  undo: "Undo",
  clear: "Clear",
  penDown: "Pen down",
  penUp: "Pen up",
  cleared: "The drawing is empty",

  video: "What the camera sees",
  shoot: "Take the picture",
  cameraStarting: "Waiting for the camera. Your browser may ask for permission.",
  cameraRefused:
    "The browser did not give the camera. Allow it in the address bar, or choose a picture instead.",
  cameraMissing: "No camera was found here. You can still choose a picture.",
  cameraInsecure:
    "Browsers give the camera only to pages from this machine or over HTTPS. You can still take a photo with your phone’s own camera:",
  cameraFile: "Open the camera app",

  result: "Answer",
  empty: "The answer appears here.",
  emptyHint: "Give a picture, draw one, or try one of the examples below.",
  working: "Looking …",
  workingOn: (done, all) => `Looking at picture ${done} of ${all} …`,
  said: (label, percent) => `${label}, ${percent}.`,
  saidLabels: (labels) => `Above one half: ${labels}.`,
  saidMany: (number) => `${count(number, "picture", "pictures")} classified.`,
  bars: "The likeliest classes",
  unsure: (dark) =>
    dark
      ? "The model is not sure. One thing that fills the picture, on a plain ground, works best."
      : "The model is not sure. A picture like those it learnt from, with the thing large and in the middle, works best.",
  seen: (width, height, grey) =>
    `What the model saw: ${width}\u00a0×\u00a0${height} pixels${grey ? ", in grey" : ""}`,
  why: "Show what mattered",
  whyHide: "Hide what mattered",
  whyWorking: (share) => `Covering parts of the picture … ${Math.round(share * 100)} %`,
  whyWords: (label, before, after, place) =>
    `${label} rests most on the ${place}: with that covered, its probability goes from ${before} to ${after}.`,
  whyNothing: (label) =>
    `No single part matters much: ${label} stays as likely whatever is covered.`,
  places: [
    ["upper left", "top", "upper right"],
    ["left", "centre", "right"],
    ["lower left", "bottom", "lower right"],
  ],

  examples: "Examples",
  examplesHint: "One a class, from the test set: the model was not trained on them.",
  example: (label) => `Example: ${label}`,
  history: "So far",
  historyHint: "Kept in this tab only.",
  historyClear: "Clear list",
  historyItem: (name, label, percent) => `${name}: ${label}, ${percent}`,

  token: "Token",
  tokenHint: "This server answers only with a token. Whoever started it knows it; it is kept until you close this tab.",
  tokenKeep: "Use token",
  again: "Try again",
  dismiss: "Dismiss",
  serverSaid: (said) => `The server’s words: ${said}`,

  privacyServer: "Pictures go to the server this page came from, and nowhere else.",
  privacyBrowser: "The model runs in your browser: pictures do not leave this device.",
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
        ? `Too many pictures are waiting. Try again in ${count(seconds, "second", "seconds")}.`
        : "It is starting, stopping, or has too many pictures waiting. Try again in a moment.",
    ],
    token: () => ["The server wants a token.", "Enter the right one above, then try again."],
    large: ({ max_body_bytes: bytes, max_pixels: pixels }) => [
      "The picture is too large for the server.",
      bytes
        ? `It takes files up to ${megabytes(bytes)} and ${(pixels / 1e6).toLocaleString("en")} million pixels. Save the picture smaller, or crop it.`
        : "Save it smaller, or crop it.",
    ],
    refused: () => [
      "The server cannot read this as a picture.",
      "It reads PNG, JPEG, WebP, BMP, GIF, TIFF, PPM and AVIF. Save the picture anew as one of these.",
    ],
    slow: () => ["The picture arrived too slowly.", "Try again, or choose a smaller picture."],
    failed: ({ status }) => [
      `The server failed (status ${status}).`,
      "Try again. If it stays so, its log says why.",
    ],
    undecodable: () => [
      "This browser cannot read the file as a picture.",
      "Choose a PNG, JPEG, WebP, BMP, GIF or AVIF.",
    ],
    enormous: () => ["The picture is too large for this browser.", "Save it smaller, or crop it."],
    unloaded: () => [
      "The model could not be loaded.",
      "See that all files of this folder are on the web server, then load the page again.",
    ],
    nothing: () => ["There is no picture in that.", "Choose, drop or paste a picture file."],
    defect: () => ["The page itself failed.", "Load it again. If it stays so, please report it."],
  },
};
