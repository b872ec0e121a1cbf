/**
 * Closes an open sheet when the visitor goes elsewhere; opening is the browser's own.
 * @module menu
 */

/** @param {HTMLDetailsElement} element */
export function mount(element) {
  document.addEventListener("click", (event) => {
    if (element.open && !element.contains(/** @type {Node} */ (event.target))) {
      element.open = false;
    }
  });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && element.open) {
      element.open = false;
      element.querySelector("summary")?.focus();
      event.stopPropagation();
    }
  });
}
