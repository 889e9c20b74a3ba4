// A person's own picture, made into what a model takes: the twin of flaxmill/data/pictures/ready.py
// and flaxmill/data/pictures/fit.py.
//
// It repeats Pillow's integer arithmetic (luma, compositing, the triangle filter's fixed-point
// weights) instead of leaving it to a canvas, whose scaling differs between browsers. From the same
// decoded pixels both give the same bytes; tests/browser/test_preparation.py compares them.

const BORDER_IS_LIGHT = 128; // mean of the border's pixels, from 0 to 255
const WEIGHT_BITS = 22; // Pillow's fixed point for pixels of 8 bits

/**
 * Makes a decoded picture into what a model takes.
 *
 * @param {{width: number, height: number, data: Uint8ClampedArray}} picture RGBA, colours not
 *     multiplied by alpha, already turned as its EXIF data says.
 * @param {object} signature The model's signature.json.
 * @returns {Uint8Array} height × width × channel.
 */
export function prepare(picture, signature) {
  const [, height, width, channels] = signature.inputs[0].shape;
  let pixels = onWhite(picture, channels);
  let border = borderOf(pixels, picture.width, picture.height, channels);
  if (knowsDarkGround(signature) && mean(border) >= BORDER_IS_LIGHT) {
    pixels = pixels.map((value) => 255 - value);
    border = border.map((plane) => plane.map((value) => 255 - value));
  }
  const { fit, share = 1 } = signature.preprocess;
  if (fit === "crop") return cropped(pixels, picture, channels, [height, width], share);
  if (fit === "squash") return resized(pixels, picture, channels, { height, width });
  return squared(pixels, picture, border.map(median), [height, width]);
}

/** Whether the model knows things on a dark ground, so that light borders are inverted. */
export function knowsDarkGround(signature) {
  return String(signature.preprocess.background ?? "").startsWith("dark");
}

/** The median of the border of a prepared picture, for each channel: what lies behind the thing. */
export function ground(pixels, [height, width, channels]) {
  return borderOf(pixels, width, height, channels).map(median);
}

function onWhite({ width, height, data }, channels) {
  const pixels = new Uint8Array(width * height * channels);
  for (let from = 0, to = 0; from < data.length; from += 4, to += channels) {
    const alpha = data[from + 3];
    const red = over(data[from], alpha);
    const green = over(data[from + 1], alpha);
    const blue = over(data[from + 2], alpha);
    if (channels === 1) {
      pixels[to] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    } else {
      pixels[to] = red;
      pixels[to + 1] = green;
      pixels[to + 2] = blue;
    }
  }
  return pixels;
}

/** One channel of a pixel laid on white. */
function over(value, alpha) {
  if (alpha === 255) return value;
  const sum = ((value * alpha + 255 * (255 - alpha)) << 7) + (0x80 << 7);
  return ((sum >> 8) + sum) >> 15;
}

/** The pixels of first and last row and column, corners twice: an array for each channel. */
function borderOf(pixels, width, height, channels) {
  return Array.from({ length: channels }, (_, channel) => {
    const at = (row, column) => pixels[(row * width + column) * channels + channel];
    const plane = new Uint8Array(2 * (width + height));
    for (let column = 0; column < width; column++) {
      plane[2 * column] = at(0, column);
      plane[2 * column + 1] = at(height - 1, column);
    }
    for (let row = 0; row < height; row++) {
      plane[2 * (width + row)] = at(row, 0);
      plane[2 * (width + row) + 1] = at(row, width - 1);
    }
    return plane;
  });
}

function mean(planes) {
  const total = planes.reduce((sum, plane) => plane.reduce((s, value) => s + value, sum), 0);
  return total / (planes.length * planes[0].length);
}

function median(plane) {
  const sorted = plane.toSorted();
  const half = sorted.length / 2; // the border's length is even
  return (sorted[half - 1] + sorted[half]) >> 1;
}

/**
 * Pads a picture to a square and resizes it. A row at a time: the square of a long panorama need not
 * fit into memory.
 */
function squared(pixels, { width, height }, colour, size) {
  const channels = colour.length;
  const side = Math.max(width, height);
  const [top, left] = [(side - height) >> 1, (side - width) >> 1];
  const filled = (length) => {
    const pad = new Uint8Array(length * channels);
    return pad.map((_, i) => colour[i % channels]);
  };
  const row = filled(side);
  const narrow = filled(side * size[1]);
  // What is made of padding alone stays as it is.
  const across = triangle(side, size[1]).filter(
    ({ start, weights }) => start < left + width && start + weights.length > left,
  );
  const line = width * channels;
  for (let i = 0; i < height; i++) {
    row.set(pixels.subarray(i * line, (i + 1) * line), left * channels);
    const place = (top + i) * size[1] * channels;
    resample(row, channels, across, narrow.subarray(place, place + size[1] * channels));
  }
  const made = new Uint8Array(size[0] * size[1] * channels);
  resample(narrow, size[1] * channels, triangle(side, size[0]), made);
  return made;
}

/** Cuts the centre out of a resized picture; lengths are rounded as flaxmill/data/pictures/fit.py does. */
function cropped(pixels, picture, channels, size, share) {
  let [height, width] = size.map((side) => Math.trunc(side / share + 1e-6));
  if (picture.width * height >= picture.height * width) {
    width = Math.trunc((height * picture.width) / picture.height);
  } else {
    height = Math.trunc((width * picture.height) / picture.width);
  }
  const top = halfToEven(height - size[0]);
  const left = halfToEven(width - size[1]);
  const part = { top, left, bottom: top + size[0], right: left + size[1] };
  return resized(pixels, picture, channels, { height, width }, part);
}

/** Half of a whole number; of a half, the even one of its neighbours, as Python rounds. */
function halfToEven(number) {
  const lower = Math.floor(number / 2);
  return number % 2 !== 0 && lower % 2 !== 0 ? lower + 1 : lower;
}

/** Resizes a picture, and returns it or a part of it. */
function resized(pixels, picture, channels, { height, width }, part) {
  const { top, left, bottom, right } = part ?? { top: 0, left: 0, bottom: height, right: width };
  const within = (positions, from, until) =>
    positions.slice(from, until).map((position) => ({ ...position, to: position.to - from }));
  const across = within(triangle(picture.width, width), left, right);
  const down = within(triangle(picture.height, height), top, bottom);
  const rows = (from, count, length) => {
    const to = new Uint8Array(count * across.length * channels);
    for (let i = 0; i < count; i++) {
      const line = from.subarray(i * length, (i + 1) * length);
      resample(line, channels, across, to.subarray(i * across.length * channels));
    }
    return to;
  };
  const columns = (from, length) => {
    const to = new Uint8Array(down.length * length);
    resample(from, length, down, to);
    return to;
  };
  const whole = picture.width * channels;
  // Pillow 13 begins with the side that shrinks more by far (its pull request 9549).
  if (picture.height > height && picture.height - height > 2 * (picture.width - width)) {
    return rows(columns(pixels, whole), down.length, whole);
  }
  return columns(rows(pixels, picture.height, whole), across.length * channels);
}

/** Fills positions of a target from a source; at each of either are `inner` numbers. */
function resample(source, inner, positions, target) {
  for (const { to, start, weights } of positions) {
    for (let part = 0; part < inner; part++) {
      let sum = 1 << (WEIGHT_BITS - 1);
      for (let i = 0; i < weights.length; i++) {
        sum += source[(start + i) * inner + part] * weights[i];
      }
      target[to * inner + part] = Math.min(255, sum >> WEIGHT_BITS);
    }
  }
}

/** For each new position, which old ones it is made of and their weights, in fixed point. */
function triangle(length, size) {
  const scale = length / size;
  const support = Math.max(scale, 1);
  return Array.from({ length: size }, (_, to) => {
    const centre = (to + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const stop = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = Array.from({ length: stop - start }, (_, i) =>
      Math.max(0, 1 - Math.abs((i + start - centre + 0.5) * (1 / support))),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const fixed = weights.map((w) => Math.trunc(0.5 + (w * (1 / total)) * (1 << WEIGHT_BITS)));
    return { to, start, weights: fixed };
  });
}
