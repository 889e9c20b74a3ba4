// The server's token, kept for as long as this tab lives.

const NAME = "flaxmill.token";

export const token = {
  get isKept() {
    return sessionStorage.getItem(NAME) !== null;
  },
  keep: (value) => sessionStorage.setItem(NAME, value),
  headers() {
    const value = sessionStorage.getItem(NAME);
    return value ? { Authorization: `Bearer ${value}` } : {};
  },
};
