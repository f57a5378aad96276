/**
 * Long-lived connections: server-sent events, WebSockets, and the slots that limit how many
 * connections the pages of one browser hold open.
 *
 * This module knows how a stream opens, delivers messages and ends. It does not know what the
 * messages mean: the caller decides whether a stream is silent, broken or finished.
 */

import { sleep } from "./qr-login-parts.js";

// The WebSocket close code when another page took over the login. An event stream sends an event.
const TAKEN_OVER = 4409;
// A browser opens six connections to a host over HTTP/1.1, for all its pages together. The other
// three stay free for pages, pictures and requests that are answered at once.
const CONNECTION_SLOTS = 3;

/**
 * Takes a connection slot without waiting. Returns a function that releases it, or null if other
 * pages hold all slots. Without Web Locks (plain http in a LAN) every page gets a slot.
 * @returns {Promise<(() => void) | null>}
 */
export async function acquireConnectionSlot() {
  const { locks } = navigator;
  for (let slot = 0; locks && slot < CONNECTION_SLOTS; slot++) {
    /** @type {(() => void) | null} */
    const release = await new Promise((resolve) => {
      /** The browser holds the lock until the promise that this callback returns is resolved. */
      const onLock = (/** @type {Lock | null} */ lock) =>
        lock ? new Promise((free) => resolve(() => free(null))) : resolve(null);
      locks.request(`qr-login-slot-${slot}`, { ifAvailable: true }, onLock)
        .catch(() => resolve(() => {})); // this page may not use locks, so nothing limits it
    });
    if (release) return release;
  }
  return locks ? null : () => {};
}

/** A stream of status answers. Its URL names the last version seen, so a new stream neither
 * loses nor repeats an answer. */
export class Stream {
  /** @type {string[]} */ #messages = [];
  #closed = false;
  #notify = () => {};
  #source;

  /** @param {string} kind "events" or "socket" @param {URL} url */
  constructor(kind, url) {
    this.#source = kind === "events"
      ? new EventSource(url) : new WebSocket(url.href.replace(/^http/, "ws"));
    const onMessage = (/** @type {any} */ event) => {
      this.#messages.push(event.data);
      this.#notify();
    };
    const onEnd = (/** @type {any} */ event) => {
      if (event.code === TAKEN_OVER) this.#messages.push('{"error":"superseded"}');
      this.close(); // otherwise an EventSource reconnects with the old URL
      this.#closed = true;
      this.#notify();
    };
    for (const type of ["message", "code", "superseded"])
      this.#source.addEventListener(type, onMessage);
    for (const type of ["error", "close"]) this.#source.addEventListener(type, onEnd);
  }

  /** The next answer, or null if none arrives within `ms` milliseconds. Throws when the stream
   * has ended or a message is not JSON.
   * @param {number} ms @param {AbortSignal} signal
   * @returns {Promise<Record<string, any> | null>} */
  async next(ms, signal) {
    if (!this.#messages.length && !this.#closed && !signal.aborted) {
      const timer = new AbortController(), stop = (this.#notify = () => timer.abort());
      signal.addEventListener("abort", stop); // AbortSignal.any is too new
      await sleep(ms, timer.signal).catch(() => {});
      signal.removeEventListener("abort", stop);
    }
    if (signal.aborted) throw signal.reason;
    const message = this.#messages.shift();
    if (message === undefined && this.#closed) throw new Error("the stream has ended");
    // The answer has no prototype, so a message cannot pollute one.
    return message === undefined ? null : Object.assign(Object.create(null), JSON.parse(message));
  }

  close() { this.#source.close(); }
}
