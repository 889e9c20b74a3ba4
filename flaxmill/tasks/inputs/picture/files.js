// Pictures from files: chosen, dropped anywhere on the page, or pasted.

import { problem } from "./problem.js";

/**
 * Takes the pictures that a person gives.
 *
 * @param {object} desk Is given them.
 */
export function takeFiles(desk) {
  const drop = document.getElementById("drop");
  const input = document.getElementById("files");

  const take = (files, kind) => {
    // Without a type it may still be a picture, of a kind that this system does not know.
    const pictures = [...files].filter(({ type }) => !type || type.startsWith("image/"));
    if (pictures.length) desk.give(pictures.map((blob) => ({ blob, name: blob.name, kind })));
    else desk.tell(problem("nothing"));
  };

  input.addEventListener("change", () => {
    if (input.files.length) take(input.files);
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", ({ clipboardData, target }) => {
    if (target.matches?.("input[type=password]")) return;
    take(clipboardData.files, "pasted");
  });

  let depth = 0; // dragenter and dragleave also come from the elements inside
  const over = (change) => {
    depth = Math.max(0, depth + change);
    drop.classList.toggle("over", depth > 0);
    drop.dataset.over = desk.words.dropNow;
  };
  document.addEventListener("dragenter", (event) => {
    event.preventDefault();
    over(+1);
  });
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    take(event.dataTransfer.files);
  });
}
