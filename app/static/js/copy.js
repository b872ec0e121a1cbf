/**
 * Copies a text, or an address made whole, and says so.
 * @module copy
 */

const SAID_MS = 2000;

/**
 * @param {HTMLElement} element a button or link that says what to copy, or a block that holds one
 */
export function mount(element) {
  const source = element.matches("[data-copy], [data-copy-address]")
    ? element
    : /** @type {HTMLElement | null} */ (element.querySelector("[data-copy]"));
  if (!source || !navigator.clipboard) {
    return;
  }
  source.hidden = false;
  source.addEventListener("click", async (event) => {
    event.preventDefault();
    const address = source.dataset.copyAddress;
    const text = address ? new URL(address, location.href).href : (source.dataset.copy ?? "");
    try {
      await navigator.clipboard.writeText(text);
      say(source, "Copied");
    } catch {
      if (address) {
        location.assign(address);
      } else {
        say(source, "Not copied: select it and copy");
      }
    }
  });
}

/**
 * @param {HTMLElement} source
 * @param {string} words
 */
function say(source, words) {
  const word = source.querySelector("[data-copy-word]");
  if (!word || word.getAttribute("aria-live")) {
    return;
  }
  const before = word.textContent;
  const wasSpoken = word.classList.contains("is-spoken");
  word.setAttribute("aria-live", "polite");
  word.classList.remove("is-spoken");
  source.classList.toggle("is-wide", wasSpoken);
  word.textContent = words;
  setTimeout(() => {
    word.textContent = before;
    word.classList.toggle("is-spoken", wasSpoken);
    source.classList.remove("is-wide");
    word.removeAttribute("aria-live");
  }, SAID_MS);
}
