/**
 * Hides the rows of a table whose text does not hold what is typed.
 * @module filter
 */

/** @param {HTMLElement} element the label around the field; `data-rows` is the table's id */
export function mount(element) {
  const field = /** @type {HTMLInputElement} */ (element.querySelector("input"));
  const table = document.getElementById(element.dataset.rows ?? "");
  if (!table) {
    return;
  }
  const rows = [...table.querySelectorAll("[data-filter-row]")].map((row) => ({
    row: /** @type {HTMLElement} */ (row),
    text: (row.querySelector("th")?.textContent ?? "").toLowerCase(),
  }));
  const apply = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
    }
  };
  element.hidden = false;
  field.addEventListener("input", apply);
  apply();
}
