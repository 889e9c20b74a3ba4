// Joins the parts: what a person gives, the model, and what is shown of its answer.

import { severalHold } from "./answer.js";
import { Camera } from "./camera.js";
import { Desk } from "./desk.js";
import { Drawing } from "./drawing.js";
import { showExamples } from "./examples.js";
import { takeFiles } from "./files.js";
import { onLanguage, speakFirst, words } from "./language.js";
import { listen, tell } from "./notice.js";
import { switches } from "./switches.js";
import { tabs } from "./tabs.js";

const $ = (id) => document.getElementById(id);
const mode = document.documentElement.dataset.model; // "server" or "browser"

const early = []; // pictures that were given before the model was ready
let taken = (pictures) => early.push(...pictures);

async function start() {
  $("empty-words").textContent = mode === "server" ? words.loading : words.loadingHere;
  $("empty").querySelector("progress").hidden = false;
  $("empty-hint").hidden = true;
  try {
    const { open } = await import(`./model-${mode}.js`);
    run(await open());
  } catch (error) {
    $("empty").querySelector("progress").hidden = true;
    $("empty-words").textContent = words.empty;
    tell(error, start);
  }
}

function run(model) {
  const list = $("ways").querySelector("[role=tablist]");
  const open = tabs(list, (panel) => {
    if (panel === "camera") camera.start();
    else camera.stop();
    if (panel === "draw") drawing.ask();
    if (panel === "picture") desk.answer.show(desk.given);
  });
  const desk = new Desk(model, () => open("picture"));
  const drawing = new Drawing(desk);
  const camera = new Camera($("camera"), (blob) => desk.give([{ blob, kind: "photo" }]));
  const translate = () => {
    for (const part of [desk, drawing, camera]) part.translate();
    showExamples(model.examples, desk.labels, (pictures) => desk.give(pictures));
    describe(model.signature);
  };
  onLanguage(translate);
  translate();
  list.inert = false;
  taken = (pictures) => desk.give(pictures);
  if (early.length) taken(early.splice(0));
}

/** Says what the model is. */
function describe(signature) {
  const { name, version, labels, licence, run } = signature;
  $("knows").textContent = severalHold(signature) ? words.tells(labels) : words.knows(labels);
  $("privacy").textContent = mode === "server" ? words.privacyServer : words.privacyBrowser;
  const facts = [words.version(name, version)];
  if (run?.weights_sha256) facts.push(words.weights(run.weights_sha256.slice(0, 12)));
  if (licence) facts.push(words.licence(licence));
  $("model").textContent = facts.join(" · ");
}

switches();
listen();
takeFiles((pictures) => taken(pictures));
speakFirst();
$("stuck").remove();
$("all").hidden = false;
start();
