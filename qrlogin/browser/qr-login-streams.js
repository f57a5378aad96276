/**
 * What keeps a connection open for long: server-sent events, a WebSocket, and a place among the few connections there are.
 *
 * Knows: how a stream opens, speaks and ends; that the pages of one browser share six connections to a host over HTTP/1.1.
 * Refuses to know: what is in an answer. That a stream is silent, broken or over is the caller's to judge.
 */

import { sleep } from "./qr-login-parts.js";

const TAKEN_OVER = 4409; // what a WebSocket ends with when another page has taken the login over; events say it in words
const PLACES = 3; // of six: the others are for pages, pictures and every call that is answered at once

/** Waits for nobody: a function that gives the place back, or null if other pages have them all. Without Web Locks (plain
 * http in a LAN) everybody has a place. @returns {Promise<(() => void) | null>} */
export async function takePlace() {
  const { locks } = navigator;
  for (let place = 0; locks && place < PLACES; place++) {
    /** @type {(() => void) | null} */
    const leave = await new Promise((resolve) => {
      const kept = (/** @type {Lock | null} */ lock) => (lock ? new Promise((free) => resolve(() => free(null))) : resolve(null));
      locks.request(`qr-login-place-${place}`, { ifAvailable: true }, kept).catch(() => resolve(() => {})); // not for this page
    });
    if (leave) return leave;
  }
  return locks ? null : () => {};
}

/** News as they come. A new one begins where its address says, so it neither loses nor repeats any. */
export class Stream {
  /** @type {string[]} */ #said = [];
  #over = false;
  #wake = () => {};
  #source;

  /** @param {string} kind "events" or "socket" @param {URL} url */
  constructor(kind, url) {
    this.#source = kind === "events" ? new EventSource(url) : new WebSocket(url.href.replace(/^http/, "ws"));
    const hear = (/** @type {any} */ event) => { this.#said.push(event.data); this.#wake(); };
    const end = (/** @type {any} */ event) => {
      if (event.code === TAKEN_OVER) this.#said.push('{"error":"superseded"}');
      this.close(); // or an EventSource would ask for what it asked before
      this.#over = true;
      this.#wake();
    };
    for (const type of ["message", "code", "superseded"]) this.#source.addEventListener(type, hear);
    for (const type of ["error", "close"]) this.#source.addEventListener(type, end);
  }

  /** The next answer, or null if none came in so many milliseconds. Throws when the stream is over or speaks nonsense.
   * @param {number} ms @param {AbortSignal} signal @returns {Promise<Record<string, any> | null>} */
  async next(ms, signal) {
    if (!this.#said.length && !this.#over && !signal.aborted) {
      const cut = new AbortController(), wake = (this.#wake = () => cut.abort());
      signal.addEventListener("abort", wake); // AbortSignal.any is too new
      await sleep(ms, cut.signal).catch(() => {});
      signal.removeEventListener("abort", wake);
    }
    if (signal.aborted) throw signal.reason;
    const said = this.#said.shift();
    if (said === undefined && this.#over) throw new Error("the stream is over");
    return said === undefined ? null : Object.assign(Object.create(null), JSON.parse(said)); // no prototype to be polluted
  }

  close() { this.#source.close(); }
}
