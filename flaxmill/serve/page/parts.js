// What belongs to a kind of data, found by the names that signature.json has: `takes` and `gives`.
//
// The page knows no kind. Of a kind of input it takes from page/inputs/<takes>/, where the files lie
// that are beside the kind's Python module in flaxmill/tasks/inputs/:
//
//   field.html, field.css   the place where a person gives one
//   sight.html              what the model saw of it; a button #why and words #why-words, if the
//                           kind can tell what mattered
//   field.js, which exports
//     words: {en, ko}       as strings.en.js; what the page says itself may be said better here
//     hint(signature, words)    what helps a model that is not sure; may be missing
//     called(given, words)  what one is called
//     example(name, blob)   what an example's file gives; may be a promise
//     thumbnail(given, seen, signature)     an element for a list; an example was not seen yet
//     forget(result)        lets go of what a result holds on to; may be missing
//     request(given, signature, limits)     {query, body, headers} of a question to /predict
//     seen(said, signature)                 what the model saw, as the server's answer has it
//     read(given, signature)                the same, made here
//     collate(examples, signature)          of several: input's name -> {data, shape, dtype}
//     without(seen, signature)              the same example many times, each with a part left out
//     matter(falls, seen, signature)        {most, …}: of how much each part mattered, the most
//     mount(desk)           makes the place work; see desk.js. It returns
//       ready()             the model answers from here on; may be missing
//       open()              turns to where what is given is shown; may be missing
//       show(result)        shows what was given
//       caption(text)       says the answer in a line near the hand, or nothing; may be missing
//       sight(result)       shows what the model saw
//       glow(result, found) shows what mattered, or with null nothing
//       explain(found, {name, before, after}) says it: of which class, and from what probability to
//                           what it goes without the part that mattered most, or with null that
//                           nothing did
//       translate()         says everything anew, in the language of now
//
// and of a kind of answer page/answers/<gives>.js, which exports
//
//     words: {en, ko}
//     output                the name of the model's output that the answer is made of
//     query(signature)      what to ask /predict for
//     heard(said, signature)    the answer, as the server has it
//     decode(row, signature)    the same, made of the output of one example
//     about(signature, desk)    what the model knows, in a sentence
//     summary(answer, desk)     the answer in a sentence, as a screen reader tells it
//     caption(answer, desk)     {text, small, spoken} for a list
//     watched(answer, signature)    {index, label} of the number that says how sure the model is;
//                           missing where there is none
//     mount(desk)           makes the place where it is told, `desk.told`, and returns show(answer)
//
// Neither imports anything of the page; what they need of it is the desk they are given. What they
// cannot do they throw as an Error with `kind`, a key of `problems` in the words, and the `facts`
// that these speak of.

import { learn } from "./language.js";
import { Problem } from "./problem.js";
import { ask, read } from "./request.js";

/**
 * Loads the parts for a model, and puts them on the page.
 *
 * @param {object} signature
 * @returns {Promise<{input: object, answer: object} | null>} Null if the page has none.
 */
export async function partsOf({ takes, gives }) {
  const known = await read("page/kinds.json");
  if (!known.inputs.includes(takes) || !known.answers.includes(gives)) return null;
  const folder = `page/inputs/${takes}`;
  try {
    const [input, answer, field, sight] = await Promise.all([
      import(`./inputs/${takes}/field.js`),
      import(`./answers/${gives}.js`),
      fragment(`${folder}/field.html`),
      fragment(`${folder}/sight.html`),
      styled(`${folder}/field.css`),
    ]);
    document.getElementById("field").replaceChildren(field);
    document.getElementById("sight").replaceChildren(sight);
    learn(answer.words);
    learn(input.words);
    return { input, answer };
  } catch (error) {
    throw error instanceof Problem ? error : new Problem("unloaded", { said: error.message });
  }
}

/** Reads elements from a file. */
async function fragment(address) {
  const text = await (await ask(address)).text();
  const found = document.createDocumentFragment();
  found.append(...new DOMParser().parseFromString(text, "text/html").body.children);
  return found;
}

/** Waits for a sheet of styles, so that nothing is seen without it. */
function styled(address) {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: address });
  return new Promise((resolve, reject) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", () => {
      link.remove();
      reject(new Error(`${address} is missing`));
    });
    document.head.append(link);
  });
}
