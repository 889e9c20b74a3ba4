// The server's token, kept for as long as this tab lives.

const NAME = "flaxmill.token";
let value = null;
try {
  value = sessionStorage.getItem(NAME);
} catch {
  // Storage is switched off: the token lasts as long as the page.
}

export const token = {
  get isKept() {
    return value !== null;
  },
  keep(given) {
    value = given;
    try {
      sessionStorage.setItem(NAME, given);
    } catch {
      // As above.
    }
  },
  headers: () => (value === null ? {} : { Authorization: `Bearer ${value}` }),
};
