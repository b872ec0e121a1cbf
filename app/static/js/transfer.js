/**
 * One upload through the service's protocol: hash, declare, send what is needed, commit.
 * @module transfer
 *
 * @typedef {{ path: string, file: File, state: "waiting" | "checking" | "sending" | "done" | "failed",
 *   done: number, md5: string, problem: string }} Item
 */

import { md5Of } from "./md5.js";
import { Problem, send, sendBytes } from "./api.js";

const SMALL = 1024 * 1024;
const BATCH_FILES = 200;
const BATCH_BYTES = 16 * 1024 * 1024;
const DECLARED = 1000;
const AT_ONCE = 3;
const TRIES = 4;
const WAIT_MS = 1000;

export class Transfer {
  /**
   * @param {string} base address of the dataset's uploads
   * @param {string} token of CSRF
   * @param {Item[]} items
   * @param {() => void} changed called whenever an item is further
   */
  constructor(base, token, items, changed) {
    this.base = base;
    this.token = token;
    this.items = items;
    this.changed = changed;
    this.stopper = new AbortController();
    this.address = "";
  }

  /**
   * Brings every file there and makes them one version; calling it again goes on where it broke.
   * @param {string} branch
   * @param {string} message
   * @returns {Promise<{ commit_id: string, unchanged: boolean }>}
   */
  async run(branch, message) {
    await this.hash();
    if (!this.address) {
      const upload = await send("POST", this.base, this.token, { branch });
      this.address = `${this.base}/${upload.id}`;
    }
    const needed = await this.declare();
    await this.sendAll(needed);
    return send("POST", `${this.address}/commit`, this.token, { message, branch });
  }

  /** Ends the running requests; the upload stays and can go on. */
  stop() {
    this.stopper.abort();
  }

  async hash() {
    for (const item of this.items) {
      if (item.md5) {
        continue;
      }
      this.refuseIfStopped();
      item.state = "checking";
      item.md5 = await md5Of(item.file, () => this.changed());
      item.state = "waiting";
      this.changed();
    }
  }

  /** @returns {Promise<Item[]>} one item for each content that the dataset does not hold yet */
  async declare() {
    const needed = new Map();
    for (let start = 0; start < this.items.length; start += DECLARED) {
      const page = this.items.slice(start, start + DECLARED);
      const files = page.map((item) => ({ path: item.path, size: item.file.size, md5: item.md5 }));
      const answer = await send("POST", `${this.address}/files`, this.token, { files });
      answer.files.forEach((/** @type {{ status: string }} */ row, /** @type {number} */ index) => {
        const item = page[index];
        if (row.status === "present") {
          finish(item);
        } else if (!needed.has(item.md5)) {
          needed.set(item.md5, item);
        }
      });
      this.changed();
    }
    return [...needed.values()];
  }

  /** @param {Item[]} needed */
  async sendAll(needed) {
    const queue = batches(needed);
    const work = async () => {
      for (let group = queue.shift(); group; group = queue.shift()) {
        await this.sendGroup(group);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const failed = this.items.find((item) => item.state === "failed");
    if (failed) {
      throw new Problem(`${failed.path}: ${failed.problem}`, 0);
    }
    this.items.forEach(finish);
    this.changed();
  }

  /** @param {Item[]} group */
  async sendGroup(group) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.refuseIfStopped();
        await this.sendOnce(group);
        group.forEach(finish);
        this.changed();
        return;
      } catch (error) {
        const problem = error instanceof Problem ? error : new Problem(String(error), 0);
        const isPassing = problem.status === 0 || problem.status === 429 || problem.status >= 500;
        if (this.stopper.signal.aborted || !isPassing || attempt === TRIES) {
          group.forEach((item) => Object.assign(item, { state: "failed", problem: problem.message }));
          this.changed();
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS * attempt * (0.5 + Math.random())));
      }
    }
  }

  /** @param {Item[]} group */
  async sendOnce(group) {
    group.forEach((item) => Object.assign(item, { state: "sending", problem: "" }));
    this.changed();
    const told = (/** @type {number} */ loaded) => {
      let left = loaded;
      for (const item of group) {
        item.done = Math.min(item.file.size, left);
        left -= item.done;
      }
      this.changed();
    };
    const { signal } = this.stopper;
    if (group.length === 1) {
      const [item] = group;
      const address = `${this.address}/objects/${item.md5}`;
      await sendBytes("PUT", address, this.token, item.file, told, signal);
      return;
    }
    const form = new FormData();
    group.forEach((item) => form.append(item.md5, item.file, "object"));
    await sendBytes("POST", `${this.address}/objects`, this.token, form, told, signal);
  }

  refuseIfStopped() {
    if (this.stopper.signal.aborted) {
      throw new Problem("stopped", 0);
    }
  }
}

/** @param {Item} item */
function finish(item) {
  item.state = "done";
  item.done = item.file.size;
}

/**
 * @param {Item[]} items
 * @returns {Item[][]} large files alone, small ones together
 */
export function batches(items) {
  const groups = items.filter((item) => item.file.size > SMALL).map((item) => [item]);
  let group = /** @type {Item[]} */ ([]);
  let size = 0;
  for (const item of items.filter((one) => one.file.size <= SMALL)) {
    if (group.length === BATCH_FILES || size + item.file.size > BATCH_BYTES) {
      groups.push(group);
      group = [];
      size = 0;
    }
    group.push(item);
    size += item.file.size;
  }
  return group.length > 0 ? [...groups, group] : groups;
}
