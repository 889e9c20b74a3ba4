// The switches of language and of light and dark.

import { keep } from "./kept.js";
import { choose, languages, onLanguage, words } from "./language.js";

/** Makes the switches work. */
export function switches() {
  const root = document.documentElement;
  const language = document.getElementById("language");
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => {
    language.value = root.lang;
    theme.textContent = isDark() ? words.lightMode : words.darkMode;
  };
  language.replaceChildren(...languages().map(([code, own]) => new Option(own, code)));
  language.addEventListener("change", () => choose(language.value));
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep("theme", root.dataset.theme);
    name();
  });
  system.addEventListener("change", name);
  onLanguage(name);
}
