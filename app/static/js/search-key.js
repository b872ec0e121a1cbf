/**
 * Lets `/` go to the search field.
 * @module search-key
 */

/** @param {HTMLInputElement} element */
export function mount(element) {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const isTyping = target.matches("input, textarea, select") || target.isContentEditable;
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      element.focus();
    }
  });
}
