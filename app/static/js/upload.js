/**
 * Makes a queue of the upload form: progress for each file, stop and go on, one version at the end.
 * Without this module the form sends itself.
 * @module upload
 */

import { pickedFiles, droppedFiles } from "./chosen.js";
import { Transfer } from "./transfer.js";
import { sizeWords } from "./words.js";

const SHOWN = 200;
const WORDS = { waiting: "waiting", checking: "checking", sending: "sending", done: "done", failed: "failed" };

/** @param {HTMLFormElement} form */
export function mount(form) {
  new Queue(form).listen();
}

class Queue {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    this.box = /** @type {HTMLElement} */ (form.querySelector("[data-upload-queue]"));
    this.target = /** @type {HTMLElement} */ (form.querySelector("[data-upload-target]"));
    this.button = /** @type {HTMLButtonElement} */ (form.querySelector("button[type=submit]"));
    this.items = /** @type {import("./transfer.js").Item[]} */ ([]);
    this.transfer = /** @type {Transfer | null} */ (null);
    this.isRunning = false;
    this.isDrawing = false;
  }

  listen() {
    for (const field of this.form.querySelectorAll("input[type=file]")) {
      const input = /** @type {HTMLInputElement} */ (field);
      const take = () => {
        this.add(pickedFiles(input.files));
        input.value = "";
      };
      input.addEventListener("change", take);
      if (input.files?.length) {
        take(); // chosen before this module was there
      }
    }
    this.form.addEventListener("cairn:files", (event) => this.add(/** @type {CustomEvent} */ (event).detail));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.isRunning) {
        this.transfer?.stop();
      } else if (this.items.length > 0) {
        this.start();
      } else {
        this.say("Choose files or a folder first.", true);
      }
    });
    this.target.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.target.classList.add("is-over");
    });
    this.target.addEventListener("dragleave", () => this.target.classList.remove("is-over"));
    this.target.addEventListener("drop", async (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.target.classList.remove("is-over");
      if (event.dataTransfer) {
        this.add(await droppedFiles(event.dataTransfer));
      }
    });
    addEventListener("beforeunload", (event) => {
      if (this.isRunning) {
        event.preventDefault();
      }
    });
  }

  /** @param {import("./chosen.js").Chosen[]} chosen */
  add(chosen) {
    if (this.isRunning) {
      return;
    }
    const known = new Map(this.items.map((item) => [item.path, item]));
    for (const { path, file } of chosen) {
      known.set(path, { path, file, state: "waiting", done: 0, md5: "", problem: "" });
    }
    this.items = [...known.values()];
    this.transfer = null;
    this.build();
  }

  build() {
    const total = this.items.reduce((sum, item) => sum + item.file.size, 0);
    this.summary = make("p", { className: "is-small" });
    this.summary.setAttribute("role", "status");
    this.bar = make("progress", { max: Math.max(total, 1), value: 0 });
    this.bar.setAttribute("aria-label", "Upload");
    this.list = make("ul", { className: "upload-list", tabIndex: 0 });
    this.list.setAttribute("aria-label", "Files to upload");
    this.rows = this.items.slice(0, SHOWN).map((item) => this.row(item));
    this.list.append(...this.rows.map((row) => row.element));
    if (this.items.length > SHOWN) {
      this.list.append(make("li", { textContent: `and ${this.items.length - SHOWN} more` }));
    }
    this.box.replaceChildren(this.summary, this.bar, this.list);
    this.box.className = "stack stack-tight";
    this.box.hidden = this.items.length === 0;
    this.draw();
  }

  /** @param {import("./transfer.js").Item} item */
  row(item) {
    const element = make("li", {});
    const state = make("span", { className: "upload-state" });
    const bar = make("progress", { max: Math.max(item.file.size, 1), value: 0 });
    bar.setAttribute("aria-label", item.path);
    element.append(make("span", { textContent: item.path }), state, bar);
    return { element, state, bar, item };
  }

  draw() {
    this.isDrawing = false;
    for (const { state, bar, item } of this.rows ?? []) {
      state.textContent = item.state === "waiting" ? sizeWords(item.file.size) : WORDS[item.state];
      state.title = item.problem;
      state.classList.toggle("is-failed", item.state === "failed");
      state.classList.toggle("is-done", item.state === "done");
      bar.value = item.state === "done" ? bar.max : item.done;
    }
    const total = this.items.reduce((sum, item) => sum + item.file.size, 0);
    const done = this.items.reduce((sum, item) => sum + item.done, 0);
    if (this.bar && this.summary) {
      this.bar.value = done;
      const files = `${this.items.length} ${this.items.length === 1 ? "file" : "files"}`;
      const isChecking = this.items.some((item) => item.state === "checking");
      const part = isChecking ? "checking what is there already" : `${sizeWords(done)} of ${sizeWords(total)}`;
      this.summary.textContent = `${files}, ${this.isRunning ? part : sizeWords(total)}`;
    }
  }

  changed() {
    if (!this.isDrawing) {
      this.isDrawing = true;
      requestAnimationFrame(() => this.draw());
    }
  }

  async start() {
    const data = new FormData(this.form);
    const folder = String(data.get("folder") ?? "").replace(/^\/+|\/+$/g, "");
    const branch = String(data.get("branch"));
    const count = this.items.length;
    const message = String(data.get("message") ?? "").trim() || `Upload ${count} ${count === 1 ? "file" : "files"}`;
    const placed = this.items.map((item) => item);
    if (!this.transfer) {
      placed.forEach((item) => Object.assign(item, { path: folder ? `${folder}/${item.path}` : item.path }));
    }
    const base = `/api/v1/datasets/${this.form.dataset.dataset}/uploads`;
    const earlier = this.transfer?.address ?? "";
    this.transfer = new Transfer(base, String(data.get("csrf_token")), placed, () => this.changed());
    this.transfer.address = earlier;
    this.running(true);
    try {
      const made = await this.transfer.run(branch, message);
      this.isRunning = false;
      location.assign(`${this.form.dataset.versions}${made.commit_id}`);
    } catch (error) {
      this.running(false);
      const reason = error instanceof Error ? error.message : String(error);
      this.say(`${reason}. Nothing was changed; what arrived is kept, and “Go on” sends the rest.`, true);
    }
  }

  /** @param {boolean} isRunning */
  running(isRunning) {
    this.isRunning = isRunning;
    this.button.textContent = isRunning ? "Stop" : "Go on";
    for (const field of this.form.querySelectorAll("input:not([type=hidden])")) {
      /** @type {HTMLInputElement} */ (field).disabled = isRunning;
    }
    if (isRunning) {
      this.form.querySelector("[data-upload-fault]")?.remove();
    }
    this.draw();
  }

  /**
   * @param {string} words
   * @param {boolean} isBad
   */
  say(words, isBad) {
    this.form.querySelector("[data-upload-fault]")?.remove();
    const banner = make("div", { className: isBad ? "banner banner-bad" : "banner" });
    banner.dataset.uploadFault = "";
    banner.setAttribute("role", "alert");
    banner.append(make("p", { textContent: words.charAt(0).toUpperCase() + words.slice(1) }));
    this.target.before(banner);
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Partial<HTMLElementTagNameMap[Name]>} properties
 * @returns {HTMLElementTagNameMap[Name]}
 */
function make(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
