// Choices that outlive the page, where the browser lets it keep any.

/** Reads what was kept under a name, or null. */
export function recall(name) {
  try {
    return localStorage.getItem(`flaxmill.${name}`);
  } catch {
    return null; // storage is switched off
  }
}

/** Keeps a text under a name. */
export function keep(name, text) {
  try {
    localStorage.setItem(`flaxmill.${name}`, text);
  } catch {
    // The choice lasts as long as the page, then.
  }
}
