// What a text is cut into: the rules at the top of flaxmill/data/text/tokens.py, one by one.

export const UNKNOWN = 1;

const PADDING = 0;
const SPACES =
  "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200b\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff";
const MARKS =
  "!-&\\(-\\/:-@\\[-`\\{-~\\xa1-\\xa9\\xab-\\xb1\\xb4\\xb6-\\xb8\\xbb-\\xbf\\xd7\\xf7" +
  "\\u2010-\\u2018\\u201a-\\u2027\\u2030-\\u205e\\u20a0-\\u20cf\\u2100-\\u214f\\u2190-\\u2bff" +
  "\\u3001-\\u3003\\u3008-\\u3020\\u30fb\\uff01-\\uff0f\\uff1a-\\uff20\\uff3b-\\uff40" +
  "\\uff5b-\\uff65\\u{1f000}-\\u{1faff}";
const SPACE = new RegExp(`[${SPACES}]+`, "gu");
const WORD = new RegExp(`[${MARKS}]|[^ ${MARKS}]+`, "gu");
const PIECE = new RegExp(` ?(?:[${MARKS}]|[^ ${MARKS}]+)`, "gu");
const ALONE = /[\ud800-\udfff]/gu; // half of a letter: a whole one is one code point

const described = new WeakMap(); // description -> tables, which are made once

/**
 * Returns the numbers of a text's tokens: one at least, and no more than the longest.
 *
 * @param {string} text
 * @param {object} description `preprocess` of the signature.
 */
export function encode(text, description) {
  const { numbers, ranks } = tablesOf(description);
  const cut = cutters[description.kind](normal(text, description.lower), ranks);
  const found = cut.slice(0, description.longest).map((token) => numbers.get(token) ?? UNKNOWN);
  return Int32Array.from(found.length ? found : [UNKNOWN]);
}

/**
 * Returns what each token adds to the text that it is of; nothing for what fills up.
 *
 * @param {Int32Array} tokens
 * @param {object} description
 */
export function pieces(tokens, { kind, vocabulary }) {
  const found = [...tokens]
    .filter((number) => number !== PADDING)
    .map((number) => (number === UNKNOWN ? "□" : vocabulary[number]));
  if (kind === "words") return found.map((token, i) => (i ? ` ${token}` : token));
  return kind === "bpe" ? lettersOf(found) : found;
}

function tablesOf(description) {
  if (!described.has(description)) {
    described.set(description, {
      numbers: new Map(description.vocabulary.map((token, number) => [token, number])),
      ranks: new Map((description.merges ?? []).map((merge, rank) => [merge, rank])),
    });
  }
  return described.get(description);
}

function normal(text, lower) {
  const whole = text.replace(ALONE, "\ufffd");
  const low = lower ? Array.from(whole, (letter) => letter.toLowerCase()).join("") : whole;
  return low.normalize("NFC").replace(SPACE, " ").replace(/^ | $/g, "");
}

const cutters = {
  characters: (text) => Array.from(text),
  words: (text) => text.match(WORD) ?? [],
  bpe: (text, ranks) => (text.match(PIECE) ?? []).flatMap((piece) => joined(piece, ranks)),
};

/** Joins the bytes of a piece as far as the merges say. */
function joined(piece, ranks) {
  const parts = Array.from(new TextEncoder().encode(piece), (byte) => LETTERS[byte]);
  for (;;) {
    let [best, at] = [Infinity, -1];
    for (let i = 0; i + 1 < parts.length; i++) {
      const rank = ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
      if (rank < best) [best, at] = [rank, i];
    }
    if (at < 0) return parts;
    parts.splice(at, 2, parts[at] + parts[at + 1]);
  }
}

/** The letter that stands for each byte. */
const LETTERS = (() => {
  const shown = (byte) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let other = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(shown(byte) ? byte : other++));
})();

/** What tokens of bytes add to the text; the bytes of a letter in two tokens are of the latter. */
function lettersOf(found) {
  const bytes = new Map(LETTERS.map((letter, byte) => [letter, byte]));
  let waiting = [];
  return found.map((token) => {
    if (token === "□") return token;
    waiting.push(...Array.from(token, (letter) => bytes.get(letter)));
    try {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        Uint8Array.from(waiting),
      );
      waiting = [];
      return text;
    } catch {
      return "";
    }
  });
}
