/**
 * Mounts a module on every element that names one in `data-module`. Pages work without any of them.
 * @module page
 */

const MODULES = ["copy", "drop", "filter", "menu", "search-key", "upload"];

for (const element of document.querySelectorAll("[data-module]")) {
  const name = /** @type {HTMLElement} */ (element).dataset.module ?? "";
  if (MODULES.includes(name)) {
    import(`./${name}.js`).then((module) => module.mount(element));
  }
}
