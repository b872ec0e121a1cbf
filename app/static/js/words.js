/**
 * Words for numbers, the same as the pages use.
 * @module words
 */

const UNITS = ["kB", "MB", "GB", "TB", "PB"];

/**
 * @param {number} size bytes
 * @returns {string} such as `3.1 MB`
 */
export function sizeWords(size) {
  if (size < 1000) {
    return `${size} ${size === 1 ? "byte" : "bytes"}`;
  }
  let amount = size / 1000;
  let step = 0;
  while (Math.round(amount) >= 1000 && step + 1 < UNITS.length) {
    amount /= 1000;
    step += 1;
  }
  return `${amount < 9.95 ? amount.toFixed(1) : Math.round(amount).toLocaleString("en")} ${UNITS[step]}`;
}
