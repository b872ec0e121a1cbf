/**
 * The one place that talks to the JSON API: CSRF header, problems as errors.
 * @module api
 */

/** What the service refused, in its own words. */
export class Problem extends Error {
  /**
   * @param {string} message
   * @param {number} status
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {string} method
 * @param {string} address
 * @param {string} token of CSRF
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function send(method, address, token, body) {
  const response = await fetch(address, {
    method,
    credentials: "same-origin",
    headers: { "X-CSRF-Token": token, "Content-Type": "application/json", Accept: "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) {
    throw new Problem(detailOf(text), response.status);
  }
  return text ? JSON.parse(text) : null;
}

/**
 * Sends bytes and tells how far it is; `fetch` cannot.
 * @param {string} method
 * @param {string} address
 * @param {string} token
 * @param {Blob | FormData} body
 * @param {(bytes: number) => void} told
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function sendBytes(method, address, token, body, told, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    request.setRequestHeader("X-CSRF-Token", token);
    request.upload.addEventListener("progress", (event) => told(event.loaded));
    request.addEventListener("load", () =>
      request.status < 400 ? resolve() : reject(new Problem(detailOf(request.responseText), request.status)),
    );
    request.addEventListener("error", () => reject(new Problem("the connection broke", 0)));
    request.addEventListener("abort", () => reject(new Problem("stopped", 0)));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

/**
 * @param {string} text
 * @returns {string}
 */
function detailOf(text) {
  try {
    const problem = JSON.parse(text);
    return problem.detail || problem.message || "the service refused it";
  } catch {
    return "the service did not answer as expected";
  }
}
