// Joins the parts: the model, the places that belong to its kind of data, and what is around them.
// What belongs to a kind is found by name: see parts.js.

import { Desk } from "./desk.js";
import { showExamples } from "./examples.js";
import { onLanguage, speakFirst, words } from "./language.js";
import { listen, tell } from "./notice.js";
import { partsOf } from "./parts.js";
import { switches } from "./switches.js";

const $ = (id) => document.getElementById(id);
const mode = document.documentElement.dataset.model; // "server" or "browser"

let desk = null;

async function start() {
  waiting(true);
  try {
    const { find } = await import(`./model-${mode}.js`);
    const { signature, load } = await find();
    if (!desk) {
      const parts = await partsOf(signature);
      if (!parts) return showNoPanel(signature);
      desk = meet(signature, parts);
    }
    open(await load(desk.parts));
  } catch (error) {
    waiting(false);
    tell(error, start);
  }
}

/** Says that the model is on its way; where it is not known yet what it takes, nothing is offered. */
function waiting(loading) {
  $("all").classList.toggle("unknown", !desk && loading);
  $("desk").hidden = !desk && !loading;
  $("empty").querySelector("progress").hidden = !loading;
  $("empty-hint").hidden = true;
  const loadingWords = mode === "server" ? "loading" : "loadingHere";
  $("empty-words").textContent = words[loading ? loadingWords : "empty"];
}

/** Puts a desk onto the page, with the places for what the model takes and gives. */
function meet(signature, parts) {
  const made = new Desk(signature, parts);
  $("all").classList.remove("unknown");
  onLanguage(translate);
  made.translate();
  return made;
}

function open(model) {
  desk.model = model;
  translate();
  desk.begin();
}

/** Says everything, in the language of now. */
function translate() {
  desk.translate();
  if (!desk.model) return;
  showExamples(desk.model.examples, desk);
  describe(desk.signature);
}

/** Says what the model is. */
function describe({ name, version, licence, run }) {
  if (desk) {
    $("privacy").textContent = mode === "server" ? words.privacyServer : words.privacyBrowser;
    $("knows").textContent = desk.parts.answer.about(desk.signature, desk);
  }
  const facts = [words.version(name, version)];
  if (run?.weights_sha256) facts.push(words.weights(run.weights_sha256.slice(0, 12)));
  if (licence) facts.push(words.licence(licence));
  $("model").textContent = facts.join(" · ");
}

/** Says that the page has no place for what the model takes, or none for what it gives. */
function showNoPanel(signature) {
  const say = () => {
    $("no-panel-words").textContent = words.noPanel(signature.takes, signature.gives);
    describe(signature);
  };
  $("all").classList.remove("unknown");
  $("desk").hidden = true;
  $("no-panel").hidden = false;
  onLanguage(say);
  say();
}

switches();
listen();
speakFirst();
$("stuck").remove();
$("all").hidden = false;
start();
