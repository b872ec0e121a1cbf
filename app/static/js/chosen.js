/**
 * Files as the visitor chose or dropped them, each with its path.
 * @module chosen
 *
 * @typedef {{ path: string, file: File }} Chosen
 */

/**
 * @param {FileList | null} list
 * @returns {Chosen[]} with the folders of a folder field kept
 */
export function pickedFiles(list) {
  return [...(list ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/**
 * @param {DataTransfer} transfer
 * @returns {Promise<Chosen[]>} everything dropped, folders walked to their ends
 */
export async function droppedFiles(transfer) {
  // Entries must be taken before the first await: the browser empties the list afterwards.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const found = /** @type {Chosen[]} */ ([]);
  for (const entry of entries) {
    await walk(/** @type {FileSystemEntry} */ (entry), found);
  }
  return found;
}

/**
 * @param {FileSystemEntry} entry
 * @param {Chosen[]} found
 */
async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) =>
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject),
    );
    found.push({ path: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    const batch = /** @type {FileSystemEntry[]} */ (
      await new Promise((resolve, reject) => reader.readEntries(resolve, reject))
    );
    if (batch.length === 0) {
      return;
    }
    for (const child of batch) {
      await walk(child, found);
    }
  }
}
