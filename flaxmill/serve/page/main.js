// Joins the parts: what a person gives, the model, and what is shown of its answer.

import { Answer } from "./answer.js";
import { Camera } from "./camera.js";
import { Sheet } from "./draw.js";
import { showExamples } from "./examples.js";
import { takeFiles } from "./files.js";
import { History } from "./history.js";
import { choose, languages, onLanguage, speakFirst, words } from "./language.js";
import { calm, listen, tell } from "./notice.js";
import { knowsDarkGround } from "./prepare.js";
import { tabs } from "./tabs.js";

const $ = (id) => document.getElementById(id);
const mode = document.documentElement.dataset.model; // "server" or "browser"

async function start() {
  $("empty-words").textContent = mode === "server" ? words.loading : words.loadingHere;
  $("empty").querySelector("progress").hidden = false;
  try {
    const { open } = await import(`./model-${mode}.js`);
    run(await open());
  } catch (error) {
    $("empty").querySelector("progress").hidden = true;
    tell(error, start);
  }
}

function run(model) {
  const { signature, examples } = model;
  const { labels } = signature;
  const shape = signature.inputs[0].shape.slice(1);
  const answer = new Answer(signature, model, tell);
  const history = new History($("history"), shape, (result) => {
    if (!result.live) openTab("picture");
    present(result);
    $("result").focus({ preventScroll: true });
    $("result").scrollIntoView({ block: "nearest" });
  });

  let given = null; // the result of the picture that was given last

  function present(result) {
    answer.show(result);
    if (result.live) return;
    given = result;
    showGiven(result);
  }

  /** Classifies one picture; gives what there is to show of it. */
  async function classified(blob, name, live = null) {
    const { seen, probabilities } = await model.classify(blob);
    const order = labels.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]);
    const url = live ? null : URL.createObjectURL(blob);
    return { seen, probabilities, order, label: labels[order[0]], name, url, live };
  }

  /** Classifies pictures one after the other; one that fails stops none of the others. */
  async function give(pictures) {
    calm();
    const failed = [];
    let problem = null;
    for (const [i, { blob, name }] of pictures.entries()) {
      answer.wait(pictures.length > 1 ? words.workingOn(i + 1, pictures.length) : words.working);
      try {
        const result = await classified(blob, name);
        history.add(result);
        present(result);
      } catch (error) {
        problem = error;
        failed.push(pictures[i]);
        if (!["gone", "token", "busy"].includes(error.kind)) continue;
        failed.push(...pictures.slice(i + 1)); // would fail alike
        break;
      }
    }
    answer.wait(null);
    const good = pictures.length - failed.length;
    if (good) $("result").scrollIntoView({ block: "nearest" }); // on a phone it is further down
    if (good) $("said").textContent = good > 1 ? words.saidMany(good) : answer.summary();
    const names = pictures.length > 1 ? failed.map(({ name }) => words[name] ?? name) : [];
    if (problem) tell(problem, () => give(failed), names);
  }

  const openTab = tabs($("ways").querySelector("[role=tablist]"), (panel) => {
    if (panel === "camera") camera.start();
    else camera.stop();
    if (panel === "draw") askDrawing();
    if (panel === "picture") answer.show(given);
  });
  const givePictures = (pictures) => {
    openTab("picture");
    return give(pictures);
  };
  takeFiles(givePictures);
  const camera = new Camera($("camera"), (blob) => givePictures([{ blob, name: "photo" }]));
  showExamples(examples, labels, givePictures);
  const askDrawing = drawing(signature, { classified, history, answer });

  const translate = () => {
    answer.translate();
    history.translate();
    camera.translate();
    showExamples(examples, labels, givePictures);
    describe(signature);
  };
  onLanguage(translate);
  translate();
}

/** Shows the picture that was given, where it was given. */
function showGiven({ url, name }) {
  $("given").onload = () => $("given").classList.toggle("small", $("given").naturalWidth < 100);
  $("given").src = url;
  $("given").alt = words.given(words[name] ?? name);
  $("given").hidden = false;
  $("drop").classList.add("full");
  $("drop-words").textContent = words.another;
}

/** The sheet: every change asks the model anew, one question at a time. Gives what asks it. */
function drawing(signature, { classified, history, answer }) {
  let session = Symbol("drawing"); // a drawing is one result, however often it changes
  let asking = false;
  let changed = false;

  async function ask(finished) {
    $("undo").disabled = $("clear").disabled = sheet.isEmpty;
    $("sheet").classList.toggle("empty", sheet.isEmpty);
    if (sheet.isEmpty) {
      session = Symbol("drawing");
      answer.show(null);
      if (finished) $("said").textContent = words.cleared;
      return;
    }
    changed = true;
    if (asking) return;
    asking = true;
    try {
      while (changed && !sheet.isEmpty) {
        changed = false;
        const live = session;
        const result = await classified(await sheet.picture(), "drawing", live);
        if (live !== session || $("draw").hidden) continue; // cleared or left in the meantime
        history.add(result);
        answer.show(result);
        calm();
        if (!changed && !sheet.stroke) $("said").textContent = answer.summary();
      }
    } catch (error) {
      tell(error, () => ask(true));
    } finally {
      asking = false;
    }
  }

  const colour = $("colour");
  colour.hidden = signature.inputs[0].shape[3] === 1;
  const sheet = new Sheet({
    canvas: $("sheet").querySelector("canvas"),
    pen: $("pen"),
    dark: knowsDarkGround(signature),
    setting: () => ({
      tool: document.querySelector("[name=tool]:checked").value,
      size: Number($("brush-size").value),
      colour: colour.hidden ? null : colour.querySelector("input").value,
    }),
    changed: ask,
    penMoved: (down) => ($("said").textContent = down ? words.penDown : words.penUp),
  });
  $("undo").addEventListener("click", () => sheet.undo());
  $("clear").addEventListener("click", () => sheet.clear());
  $("sheet").classList.add("empty");
  return () => ask(false);
}

/** Says what the model is. */
function describe({ name, version, labels, licence, run, preprocess }) {
  $("knows").textContent = words.knows(labels);
  $("sheet").dataset.hint = words.drawHint(knowsDarkGround({ preprocess }));
  if ($("given").hidden) $("drop-words").textContent = words.drop;
  $("privacy").textContent = mode === "server" ? words.privacyServer : words.privacyBrowser;
  const facts = [words.version(name, version)];
  if (run?.weights_sha256) facts.push(words.weights(run.weights_sha256.slice(0, 12)));
  if (licence) facts.push(words.licence(licence));
  $("model").textContent = facts.join(" · ");
}

/** The switches of language and of light and dark. */
function switches() {
  const language = $("language");
  language.replaceChildren(...languages().map(([code, name]) => new Option(name, code)));
  language.addEventListener("change", () => choose(language.value));
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => {
    language.value = root.lang;
    $("theme").textContent = isDark() ? words.lightMode : words.darkMode;
  };
  $("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("flaxmill.theme", root.dataset.theme);
    name();
  });
  system.addEventListener("change", name);
  onLanguage(name);
}

switches();
listen();
speakFirst();
$("stuck").remove();
$("all").hidden = false;
start();
