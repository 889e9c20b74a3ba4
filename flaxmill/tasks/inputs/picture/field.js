// Pictures on the page: what one is to the model, and the place where a person gives one. What the
// page wants of this file is written down in serve/page/parts.js.

import { Camera } from "./camera.js";
import { Drawing } from "./drawing.js";
import { takeFiles } from "./files.js";
import { decoded, show, withoutAlpha } from "./pixels.js";
import { knowsDarkGround, prepare } from "./prepare.js";
import { problem } from "./problem.js";
import { covered, glow, spread } from "./saliency.js";
import en from "./strings.en.js";
import ko from "./strings.ko.js";
import { tabs } from "./tabs.js";

const FINE = 96; // pixels along a side, from which on they are not shown one by one

const $ = (id) => document.getElementById(id);

/** Height, width and channels of what the model sees. */
const shapeOf = (signature) => signature.inputs[0].shape.slice(1);

export const words = { en, ko };

export const hint = (signature, words) => words.better(knowsDarkGround(signature));

/** A picture that is given is `{blob}`, with the `name` of its file or the `kind` of its coming. */
export const called = ({ name, kind }, words) => (kind ? words[kind] : name);

export const example = (name, blob) => ({ name, blob });

/** What the model saw of a picture, or of an example, which it has not seen, its file. */
export function thumbnail(given, seen, signature) {
  if (seen) {
    const canvas = document.createElement("canvas");
    show(canvas, seen, shapeOf(signature));
    return canvas;
  }
  given.url ??= URL.createObjectURL(given.blob);
  return Object.assign(new Image(), { src: given.url, alt: "" });
}

export const forget = ({ url }) => URL.revokeObjectURL(url);

export function request({ blob }, signature, limits) {
  if (blob.size > limits.max_body_bytes) throw problem("large", limits);
  const body = new FormData();
  body.append("picture", blob, blob.name ?? "picture.png");
  return { query: { seen: 1 }, body };
}

export async function seen(said, signature) {
  return withoutAlpha(await decoded(pictureOf(said.seen)), signature.inputs[0].shape[3]);
}

/** Makes a data URL a file; the page's content security policy lets nothing fetch one. */
function pictureOf(url) {
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

export async function read({ blob }, signature) {
  return prepare(await decoded(blob), signature);
}

export function collate(pictures, signature) {
  const [{ name, shape, dtype }] = signature.inputs;
  const data = new Uint8Array(pictures.length * pictures[0].length);
  pictures.forEach((picture, i) => data.set(picture, i * picture.length));
  return { [name]: { data, shape: [pictures.length, ...shape.slice(1)], dtype } };
}

export const without = (picture, signature) => covered(picture, shapeOf(signature));

export const matter = (falls, picture, signature) => spread(falls, shapeOf(signature));

export function mount(desk) {
  return new Field(desk);
}

/** Tabs: a picture that lies ready, a drawing, the camera. */
class Field {
  constructor(desk) {
    this.desk = desk;
    this.shape = shapeOf(desk.signature);
    this.last = null; // the result of the picture that was given last
    document.body.classList.toggle("photographs", Math.min(...this.shape.slice(0, 2)) >= FINE);
    this.list = desk.root.querySelector("[role=tablist]");
    this.openTab = tabs(this.list, (panel) => this.changed(panel));
    this.drawing = new Drawing(desk);
    this.camera = new Camera($("camera"), desk, (blob) => desk.give([{ blob, kind: "photo" }]));
    takeFiles(desk);
  }

  changed(panel) {
    if (panel === "camera") this.camera.start();
    else this.camera.stop();
    if (panel === "draw") this.drawing.ask();
    if (panel === "picture") this.desk.show(this.last);
  }

  ready() {
    this.list.inert = false;
  }

  open() {
    this.openTab("picture");
  }

  show(result) {
    if (result.live) return; // a drawing goes on where it is
    this.last = result;
    result.url ??= URL.createObjectURL(result.given.blob);
    const shown = $("given");
    shown.onload = () => shown.classList.toggle("small", shown.naturalWidth < 100);
    shown.src = result.url;
    shown.hidden = false;
    $("drop").classList.add("full");
    this.describe();
  }

  describe() {
    const { words } = this.desk;
    $("drop-words").textContent = this.last ? words.another : words.drop;
    if (this.last) $("given").alt = words.given(called(this.last.given, words));
  }

  caption(text) {
    $("live").textContent = text;
  }

  sight({ seen }) {
    const [height, width, channels] = this.shape;
    const told = this.desk.words.seen(width, height, channels === 1);
    show($("seen"), seen, this.shape);
    $("seen-words").textContent = told;
    $("seen").setAttribute("aria-label", told);
  }

  glow(_, found) {
    $("heat").hidden = !found;
    if (found) glow($("heat"), found.drops, this.shape);
  }

  explain(found, { name, before, after }) {
    const { words } = this.desk;
    if (!found) return words.whyNothing(name);
    const [row, column] = found.at.map((place) => Math.min(2, Math.floor(place * 3)));
    return words.whyWords(name, before, after, words.places[row][column]);
  }

  translate() {
    this.describe();
    this.drawing.translate();
    this.camera.translate();
  }
}
