// Occlusion saliency (Zeiler and Fergus 2014): cover a part of the picture, see how much less sure
// the model is. serve/page/why.js asks the model; here is what is covered, and what it shows.

import { ground } from "./prepare.js";

const PATCH = 1 / 4; // of the picture's side
const PLACES = 14; // along each side

/**
 * Covers part after part of a picture.
 *
 * @param {Uint8Array} seen What the model saw.
 * @param {number[]} shape Height, width, channel.
 * @returns {Uint8Array[]} The picture with each part covered.
 */
export function covered(seen, shape) {
  const colour = ground(seen, shape);
  return patches(...shape).map((place) => cover(seen, shape, place, colour));
}

/**
 * Spreads over the pixels how much each patch mattered.
 *
 * @param {number[]} falls In probability, by each patch.
 * @param {number[]} shape Height, width, channel.
 * @returns {{drops: Float32Array, most: number, at: number[]}} The mean fall for each pixel (height ×
 *     width); where it is largest, row and column from 0 to 1; and the largest by one patch there.
 */
export function spread(falls, [height, width]) {
  const places = patches(height, width);
  const drops = means(falls, places, height, width);
  const peak = drops.indexOf(highest(drops));
  const [row, column] = [Math.trunc(peak / width), peak % width];
  const over = ({ top, bottom, left, right }) =>
    top <= row && row < bottom && left <= column && column < right;
  const most = Math.max(...falls.filter((_, i) => over(places[i])));
  return { drops, most, at: [(row + 0.5) / height, (column + 0.5) / width] };
}

function patches(height, width) {
  const spans = (length) => {
    const reach = Math.max(1, length * PATCH) / 2;
    const places = Math.min(PLACES, length);
    return Array.from({ length: places }, (_, i) => {
      const centre = ((i + 0.5) * length) / places;
      const start = Math.max(0, Math.round(centre - reach));
      return [start, Math.min(length, Math.max(start + 1, Math.round(centre + reach)))];
    });
  };
  return spans(height).flatMap(([top, bottom]) =>
    spans(width).map(([left, right]) => ({ top, bottom, left, right })),
  );
}

function cover(seen, [, width, channels], { top, bottom, left, right }, colour) {
  const covered = seen.slice();
  for (let row = top; row < bottom; row++) {
    for (let i = left * channels; i < right * channels; i++) {
      covered[row * width * channels + i] = colour[i % channels];
    }
  }
  return covered;
}

/** The mean fall of the patches that lay over each pixel. */
function means(falls, places, height, width) {
  const sums = new Float32Array(height * width);
  const counts = new Float32Array(height * width);
  places.forEach(({ top, bottom, left, right }, i) => {
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        sums[row * width + column] += falls[i];
        counts[row * width + column] += 1;
      }
    }
  });
  return sums.map((sum, i) => sum / counts[i]);
}

/** The largest of many numbers: more than a call can have arguments. */
function highest(numbers) {
  return numbers.reduce((most, number) => Math.max(most, number), -Infinity);
}

/** Shows drops as an overlay: clear where nothing was lost, glowing where most was. */
export function glow(canvas, drops, [height, width]) {
  canvas.width = width;
  canvas.height = height;
  const most = Math.max(1e-9, highest(drops));
  const picture = new ImageData(width, height);
  drops.forEach((drop, i) => {
    const heat = Math.max(0, drop / most);
    picture.data.set([255, 90 + 140 * heat * heat, 30, 215 * heat ** 0.8], 4 * i);
  });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
