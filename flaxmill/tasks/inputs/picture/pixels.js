// From files to pixels, and from pixels to the screen.

import { problem } from "./problem.js";

/**
 * Decodes a picture file, turned as its EXIF data says, in the file's own numbers.
 *
 * @param {Blob} blob
 * @returns {Promise<ImageData>} RGBA, colours not multiplied by alpha.
 */
export async function decoded(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch {
    throw problem("undecodable");
  }
  const { width, height } = bitmap;
  try {
    const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, width, height);
  } catch {
    throw problem("enormous"); // no canvas of that size can be had
  } finally {
    bitmap.close();
  }
}

/** Takes what a model saw out of a picture of exactly its size. */
export function withoutAlpha({ data }, channels) {
  const pixels = new Uint8Array((data.length / 4) * channels);
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = data[4 * Math.trunc(i / channels) + (i % channels)];
  }
  return pixels;
}

/** Shows what a model saw, a canvas pixel for each of its pixels. */
export function show(canvas, pixels, [height, width, channels]) {
  canvas.width = width;
  canvas.height = height;
  const picture = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let part = 0; part < 3; part++) {
      picture.data[4 * i + part] = pixels[i * channels + (channels === 1 ? 0 : part)];
    }
    picture.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}
