// What the page says of pictures, in English. Every key is in each file of strings.

const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const megabytes = (bytes) => `${(bytes / 2 ** 20).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;

export default {
  title: "Show the model a picture",

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

  emptyHint: "Give a picture, draw one, or try one of the examples below.",
  working: "Looking …",
  workingOn: (done, all) => `Looking at picture ${done} of ${all} …`,
  saidMany: (number) => `${count(number, "picture", "pictures")} classified.`,
  better: (dark) =>
    dark
      ? "One thing that fills the picture, on a plain ground, works best."
      : "A picture like those it learnt from, with the thing large and in the middle, works best.",
  seen: (width, height, grey) =>
    `What the model saw: ${width}\u00a0×\u00a0${height} pixels${grey ? ", in grey" : ""}`,
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

  examplesHint: "One a class, from the test set: the model was not trained on them.",

  privacyServer: "Pictures go to the server this page came from, and nowhere else.",
  privacyBrowser: "The model runs in your browser: pictures do not leave this device.",

  problems: {
    busy: ({ seconds }) => [
      "The server is busy.",
      seconds
        ? `Too many pictures are waiting. Try again in ${count(seconds, "second", "seconds")}.`
        : "It is starting, stopping, or has too many pictures waiting. Try again in a moment.",
    ],
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
    undecodable: () => [
      "This browser cannot read the file as a picture.",
      "Choose a PNG, JPEG, WebP, BMP, GIF or AVIF.",
    ],
    enormous: () => ["The picture is too large for this browser.", "Save it smaller, or crop it."],
    nothing: () => ["There is no picture in that.", "Choose, drop or paste a picture file."],
  },
};
