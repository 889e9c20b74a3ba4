// What can go wrong that the person at the page can do something about.

/** Something failed; `kind` names the words for it, in the files of strings. */
export class Problem extends Error {
  /**
   * @param {string} kind A key of `problems` in the files of strings.
   * @param {object} [facts] What the words speak of.
   * @param {string} [facts.said] What the server said itself.
   * @param {number} [facts.status] The status it answered.
   * @param {number} [facts.seconds] After how many seconds to try again.
   */
  constructor(kind, facts = {}) {
    super(facts.said || kind);
    this.kind = kind;
    this.facts = facts;
  }
}
