/**
 * Takes files and folders that are dropped on the page's list and hands them to the upload form.
 * @module drop
 */

import { droppedFiles } from "./chosen.js";

/** @param {HTMLElement} element `data-target` is the id of the panel that holds the upload form */
export function mount(element) {
  const panel = /** @type {HTMLDetailsElement | null} */ (
    document.getElementById(element.dataset.target ?? "")
  );
  const form = panel?.querySelector("form");
  if (!panel || !form) {
    return;
  }
  element.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) {
      event.preventDefault();
      panel.open = true;
      form.querySelector("[data-upload-target]")?.classList.add("is-over");
    }
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(/** @type {Node | null} */ (event.relatedTarget))) {
      form.querySelector("[data-upload-target]")?.classList.remove("is-over");
    }
  });
  element.addEventListener("drop", async (event) => {
    if (!event.dataTransfer?.types.includes("Files")) {
      return;
    }
    event.preventDefault();
    form.querySelector("[data-upload-target]")?.classList.remove("is-over");
    const files = await droppedFiles(event.dataTransfer);
    form.dispatchEvent(new CustomEvent("cairn:files", { detail: files }));
  });
}
