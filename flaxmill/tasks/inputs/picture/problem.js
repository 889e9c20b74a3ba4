// What a person can do something about.

/**
 * Makes an error that the page has words for.
 *
 * @param {string} kind A key of `problems` in the files of strings.
 * @param {object} [facts] What the words speak of.
 */
export function problem(kind, facts = {}) {
  return Object.assign(new Error(kind), { kind, facts });
}
