/**
 * <qr-login src="/qrlogin/">: shows a QR code, waits for the phone, asks "Continue as …?" and
 * logs this browser in.
 *
 * This module knows the native JSON protocol (begin, status and its streams, redeem, cancel) and
 * how to poll and retry without overloading the server. What people see is in qr-login-card.js. It
 * does not know other origins, the device code (an HttpOnly cookie) or who the user is. The
 * scanner's tag and `op` live in private fields: never in the DOM, an attribute or an event.
 *
 * Attributes  src             where the browser routes are mounted; same origin only
 *             next            path to open after the login ("/account"); default: reload the page
 *             picture         shows the server's picture, qr.png, instead of the plain code
 *             start="manual"  waits for a click before it requests a code
 *             stream          "events" or "socket": receives changes that way, and polls where
 *                             that fails
 *             csrf-header, csrf-token   a header that the application requires on every POST
 *             state           set by the element, for CSS and tests: as in docs/element.md
 * Events      qr-login:state     {state}     the state changed
 *             qr-login:redeemed  {login_id}  logged in; preventDefault() keeps the page open
 * Methods     start() cancel(); override request() and `texts`
 * Parts       card picture qr icon countdown remaining title name hint typed code note link
 *             actions button primary
 * CSS         --qr-login-accent, -on-accent, -ink, -muted, -surface, -line, -alarm, -radius,
 *             -size; color-scheme
 * Children    shown without JavaScript, and in states where the code does not help: a link to a
 *             password form, for example
 *
 * Importing this module defines <qr-login>, unless the name is taken; a subclass defines itself.
 * The element works under a strict CSP with Trusted Types, and on plain http (no crypto.subtle).
 */

import { Card, LIVE } from "./qr-login-card.js";
import {
  PATIENCE_S, Trouble, backoff, call, hidden, mountUrl, now, ownPath, plain, seconds, sleep,
  webAddress,
} from "./qr-login-parts.js";
import { Stream, acquireConnectionSlot } from "./qr-login-streams.js";
import { textsFor } from "./qr-login-texts.js";

const OVER = ["denied", "cancelled", "expired"];

/** Error codes that end a login for this page, and the state that each leads to. */
const ENDS = new Map([["denied", "denied"], ["cancelled", "cancelled"], ["expired", "expired"],
  ["superseded", "superseded"], ["unknown_login", "unknown"], ["already_redeemed", "used"]]);

const HOLD_S = 25; // the longest wait that the server accepts
// All attempts must fit into the 30 s in which a repeated op gets the same answer.
const REDEEM_PATIENCE_S = 4;
const PAUSE_MS = 3000; // between polls that the server does not hold
const GRACE_MS = 3000; // how long a code can still be scanned after the next one was due
const TRIES = 5; // failures in a row before the page shows an error
const STREAMS = ["events", "socket"];
// A stream that is silent at first is checked by a poll: some proxies buffer what they should send.
const PROBE_MS = 5000;
const QUIET_MS = 30_000; // between later checks of a silent stream
const YOUNG_MS = 10_000; // a stream that ends before that without a message has failed
const STREAM_AGAIN_MS = 60_000; // the delay before the next stream after a failed one

/** @typedef {import("./qr-login-card.js").State} State
 * @typedef {import("./qr-login-parts.js").Answer} Answer */

const hex = (/** @type {number} */ byte) => byte.toString(16).padStart(2, "0");

/** The code to type and where to type it, if the server sent both.
 * @param {Answer} begun @returns {string[]} */
function typedCode({ user_code: code, verification_uri: uri }) {
  const where = plain(uri).replace(/^https:\/\//, "");
  return /^[A-Z0-9-]{4,20}$/.test(code) && where ? [code, where] : [];
}

export class QRLoginElement extends HTMLElement {
  static observedAttributes = ["src"];

  /** @type {State | ""} */ #state = "";
  /** @type {AbortController | null} */ #controller = null; // aborts the current conversation
  /** @type {AbortController | null} */ #listeners = null; // removes the listeners on `window`
  /** @type {ReturnType<typeof setInterval> | undefined} */ #clock;
  #card = new Card(this, (action) => this.#onAction(action)); // what the page shows
  #shownKey = ""; // state and tag on the screen: another scanner is another question
  #id = ""; #version = 0; // the current login
  #name = ""; #tag = ""; // who scanned it
  /** @type {string[]} */ #typedCode = []; // a code to type, and where
  #op = ""; // made by each click on "Continue", kept until the server answers
  #totalS = 1; // the length of the countdown
  #deadline = 0; #rotates = 0; // instants of now(): when the login and the code expire
  #pollAfter = 0; // instant of now(): no poll before
  #callAfter = 0; // instant of now(): no request before, because the server said so
  #streamAfter = 0; // instant of now(): no stream before
  #cookieWorks = false; // the server has recognized this login after begin
  #pictures = 0; // gives each picture of the server its own URL, because browsers cache pictures
  #trouble = false; // the last request failed and is being retried
  #leaving = false; // the page is being replaced after the login

  /** The current state, as the attribute `state` names it. */
  get state() { return this.#state; }
  /** The texts in use: those of the catalogue in the language that `lang` names. */
  get texts() { return textsFor(this, "login"); }

  connectedCallback() {
    const { signal } = (this.#listeners = new AbortController());
    this.#card.watch(signal);
    /** @param {string} type @param {(event: any) => void} listener */
    const listen = (type, listener) => window.addEventListener(type, listener, { signal });
    listen("visibilitychange", () => (hidden() ? this.#pause() : this.#resume()));
    listen("pagehide", () => this.#pause());
    listen("pageshow", (event) => {
      if (event.persisted) this.#leaving ? location.reload() : this.#resume();
    });
    listen("online", () => this.#state === "offline" && this.#run());
    if (this.#state) return this.#resume();
    const begin = () => {
      if (this.getAttribute("start") === "manual") this.#show("idle");
      else this.start();
    };
    // A microtask later, because the module that imports this one may replace texts first.
    queueMicrotask(() => signal.aborted || begin());
  }

  disconnectedCallback() {
    this.#halt();
    this.#listeners?.abort();
    clearInterval(this.#clock);
  }

  /** @param {string} _name @param {string | null} old @param {string | null} value */
  attributeChangedCallback(_name, old, value) {
    const started = this.#state && this.#state !== "idle";
    if (this.isConnected && old !== value && started) this.start();
  }

  /** Requests a new code, in any state. */
  start() {
    this.#reset();
    this.#show("starting");
    this.#run();
  }

  /** "That is not me." This page drops the login and no other page can redeem it, so it does not
   * matter if the cancel request fails. */
  cancel() {
    const id = this.#id, { signal } = new AbortController();
    if (!id || this.#op) return;
    const send = () => this.#call(`${id}/cancel`, {}, signal);
    this.#halt();
    this.#show("cancelled");
    send().catch(() => sleep(PAUSE_MS, signal).then(send)).catch(() => {});
  }

  /** Every request to the server goes through here. Override it to add headers, or to replace the
   * server in a test.
   * @param {URL} url @param {RequestInit} init @returns {Promise<Response>} */
  request(url, init) { return fetch(url, init); }

  // What to do next

  /** Continues with what there is: an unanswered redeem, a login to watch, or a new login. */
  #run() {
    this.#halt();
    if (hidden() && !this.#op) return; // #resume calls this again
    const controller = (this.#controller = new AbortController()), { signal } = controller;
    const work = this.#op ? this.#redeem(signal)
      : this.#id ? this.#watch(signal) : this.#begin(signal);
    work.catch((error) => {
      if (signal.aborted) return;
      if (!(error instanceof Trouble)) console.error("<qr-login>", error);
      this.#trouble = false; // the view below replaces the note
      const late = error.retryable && this.#id && !this.#op && now() > this.#deadline;
      const state = !(error instanceof Trouble) ? "unavailable"
        : error.state === "unknown" && this.#cookieWorks ? "forgotten" : error.state;
      this.#show(late ? "expired" : /** @type {State} */ (state));
    }).finally(() => { if (this.#controller === controller) this.#controller = null; });
  }

  #halt() { this.#controller?.abort(); this.#controller = null; }

  /** A begin or redeem request that is under way may finish. */
  #pause() { if (LIVE.includes(this.#state)) this.#halt(); }

  #resume() {
    const live = LIVE.includes(this.#state);
    if (live) this.#startClock();
    if (!this.#controller && (this.#op || this.#state === "starting" || live)) this.#run();
  }

  #reset() {
    this.#id = this.#op = this.#tag = this.#name = "", this.#typedCode = [];
    this.#pollAfter = 0, this.#totalS = 1;
    this.#trouble = this.#cookieWorks = false;
  }

  /** @param {string} action the key of a text, as in the card's VIEWS */
  #onAction(action) {
    if (action === "start" || action === "renew") return this.start();
    if (action === "no") return this.cancel();
    if (action === "reload") return location.reload();
    if (action === "yes")
      this.#op = Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join("");
    else if (!this.#op && now() > this.#deadline) return this.start(); // the login has expired
    if (!this.#op) this.#show("starting");
    this.#run();
  }

  // The conversation with the server

  /** @param {AbortSignal} signal */
  async #begin(signal) {
    await this.#retry(async () => {
      const answer = await this.#call("begin", {}, signal);
      if (answer.state !== "pending" || !/^[\w-]{1,64}$/.test(answer.login_id))
        throw new Trouble("unavailable");
      this.#typedCode = typedCode(answer);
      this.#apply(answer, answer.login_id);
    }, signal, 3);
    if (!hidden()) await this.#watch(signal, HOLD_S);
  }

  /** Follows the login until it is over. The first poll is not held: the view may be old. */
  async #watch(/** @type {AbortSignal} */ signal, hold = 0) {
    /** @type {(() => void) | null} */
    let release = null; // without a connection slot, the page polls and is not held
    try {
      for (; this.#id; hold = HOLD_S) {
        await sleep(this.#pollAfter - now(), signal);
        // A WebSocket does not count towards the browser's limit of six connections.
        const socket = this.getAttribute("stream") === "socket" && now() >= this.#streamAfter;
        if (socket) release = release?.() ?? null;
        else release ??= await acquireConnectionSlot();
        if (signal.aborted) throw signal.reason;
        const free = socket || release;
        if (!hold || !free || !await this.#followStream(signal))
          await this.#poll(signal, free ? hold : -1);
      }
    } finally {
      release?.();
    }
  }

  /** Polls the status once. A `hold` of -1 means: not held, and a pause before the next poll.
   * @param {AbortSignal} signal @param {number} hold */
  async #poll(signal, hold) {
    const id = this.#id, version = this.#version, asked = now();
    const left = Math.max(1, Math.ceil((this.#deadline - asked) / 1000) + 1);
    let wait = 0;
    const answer = await this.#retry(async () => {
      // After a failure the poll is not held, so that the note disappears at once.
      wait = this.#trouble ? 0 : Math.max(0, Math.min(hold, left));
      const path = `${id}?after=${version}&wait=${wait}`;
      return this.#apply(await this.#call(path, null, signal, wait + PATIENCE_S), id);
    }, signal);
    this.#cookieWorks = true;
    // The server did not hold the poll, although it could have.
    const unheld = wait > 0 && version === this.#version && now() - asked < 1000;
    const pause = hold < 0 || unheld ? PAUSE_MS : 0;
    this.#pollAfter = now() + Math.max(seconds(answer.retry_after, 60) * 1000, pause);
  }

  /** Receives changes until the stream ends. Returns false without a stream. The next poll finds
   * out why a stream failed.
   * @param {AbortSignal} signal @returns {Promise<boolean>} */
  async #followStream(signal) {
    const kind = this.getAttribute("stream") ?? "", id = this.#id, since = now();
    if (!STREAMS.includes(kind) || since < this.#streamAfter) return false;
    let stream, received = false, failed = false;
    try {
      stream = new Stream(kind, mountUrl(this, `${id}/${kind}?after=${this.#version}`));
      for (let quiet = PROBE_MS; this.#id && !failed; quiet = QUIET_MS) {
        const due = Math.min(now() + quiet, this.#rotates, this.#deadline);
        const message = await stream.next(Math.max(1000, due - now()), signal);
        const version = this.#version, code = this.#card.code;
        const end = ENDS.get(message?.error);
        if (end) throw new Trouble(end, false);
        const probe = `${id}?after=${version}&wait=0`;
        this.#apply(message ?? await this.#call(probe, null, signal), id);
        if (message) received = true, this.#tick(false);
        // The poll found a change that the stream did not send.
        else failed = version !== this.#version || code !== this.#card.code;
        this.#cookieWorks = true;
      }
    } catch (error) {
      if (signal.aborted || (error instanceof Trouble && !error.retryable)) throw error;
      failed = !received && now() - since < YOUNG_MS;
      // A server that restarts ends all streams at once, so the pages come back spread out.
      this.#pollAfter = now() + 1000 * Math.random();
    } finally {
      stream?.close();
    }
    if (failed) this.#streamAfter = now() + STREAM_AGAIN_MS;
    return true;
  }

  /** Applies a begin or status answer. @param {Answer} answer @param {string} id */
  #apply(answer, id) {
    const { login_id, state, version, qr, scanned_by: by, expires_in, rotates_in } = answer;
    const same = login_id === id;
    if (same && OVER.includes(state)) this.#show(state);
    else if (same && state === "redeemed") this.#show("used"); // not by a click on this page
    else if (!same || !LIVE.includes(state) || !Number.isInteger(version))
      throw new Trouble("unavailable");
    else {
      if (state === "pending") this.#draw(qr, webAddress(answer.verification_uri_complete), id);
      this.#id = id, this.#version = version, this.#name = plain(by?.shown_as);
      this.#tag = typeof by?.tag === "string" ? by.tag : "";
      const left = seconds(expires_in), restart = state === "confirmed" && this.#state !== state;
      this.#deadline = now() + left * 1000;
      this.#rotates = now() + (seconds(rotates_in) || Infinity) * 1000 + GRACE_MS;
      this.#totalS = Math.max(left, restart ? 1 : this.#totalS);
      this.#show(state);
    }
    return answer;
  }

  /** @param {AbortSignal} signal */
  async #redeem(signal) {
    const login_id = this.#id;
    this.#show("redeeming");
    try {
      await this.#retry(async () => {
        const body = { acknowledged: this.#tag, op: this.#op };
        const answer = await this.#call(`${login_id}/redeem`, body, signal, REDEEM_PATIENCE_S);
        if (answer.state !== "redeemed" || answer.login_id !== login_id)
          throw new Trouble("unavailable");
      }, signal);
    } catch (error) {
      const changed = error instanceof Trouble
        && ["scanner_changed", "wrong_state"].includes(error.code);
      if (!changed) throw error;
      this.#op = ""; // the login is not the one that was acknowledged: fetch it and ask again
      return this.#watch(signal);
    }
    this.#show("redeemed");
    if (!this.#emit("redeemed", { login_id })) return;
    this.#leaving = true;
    const next = ownPath(this.getAttribute("next"));
    if (next) location.replace(next);
    if (!next || next.split("#")[0] === location.href.split("#")[0]) location.reload();
  }

  /** Retries until the attempt succeeds, fails for good, or has failed `tries` times.
   * @template T
   * @param {() => Promise<T>} attempt @param {AbortSignal} signal @returns {Promise<T>} */
  async #retry(attempt, signal, tries = TRIES) {
    for (let failed = 1; ; failed++) {
      await sleep(this.#callAfter - now(), signal);
      try {
        const result = await attempt();
        this.#tick(false);
        return result;
      } catch (error) {
        if (signal.aborted || !(error instanceof Trouble) || !error.retryable) throw error;
        this.#callAfter = now() + error.retryAfter * 1000;
        const tooLong = this.#state === "starting" && error.retryAfter > PATIENCE_S;
        if (failed >= tries || tooLong) throw error;
        this.#tick(true);
        await sleep(backoff(failed), signal);
      }
    }
  }

  /** @param {string} path @param {object | null} body @param {AbortSignal} signal
   * @returns {Promise<Answer>} */
  #call(path, body, signal, patience = PATIENCE_S) {
    const keepalive = path.endsWith("/cancel");
    return call(this, path, body, signal, { patience, ends: ENDS, keepalive });
  }

  // What the page shows

  /** @param {State} state */
  #show(state) {
    const key = `${state} ${this.#tag}`, before = this.#state;
    if (key === this.#shownKey) return;
    this.#shownKey = key;
    this.#state = state;
    this.setAttribute("state", state);
    this.#card.show(state, this.#name, this.#typedCode);
    if ([...OVER, "unknown", "forgotten", "used", "redeemed"].includes(state)) this.#reset();
    this.#startClock();
    if (before !== state) this.#emit("state", { state });
  }

  /** Dispatches an event. Returns false if a listener prevented its default.
   * @param {string} name @param {object} detail */
  #emit(name, detail) {
    const options = { bubbles: true, composed: true, cancelable: name === "redeemed", detail };
    return this.dispatchEvent(new CustomEvent(`qr-login:${name}`, options));
  }

  /** Draws the plain code. With `picture`, the server's picture covers it.
   * @param {{size?: any, path?: any} | undefined} qr
   * @param {string} address what the code contains @param {string} id */
  #draw(qr, address, id) {
    const { size, path } = qr ?? {};
    const valid = Number.isInteger(size) && typeof path === "string"
      && /^M[\d\s.,MmHhVvLlZz-]+$/.test(path);
    if (!valid) throw new Trouble("unavailable");
    if (this.#card.draw(size, path, address) && this.hasAttribute("picture"))
      this.#card.cover(mountUrl(this, `${id}/qr.png?at=${++this.#pictures}`).href);
  }

  #startClock() {
    clearInterval(this.#clock);
    const live = LIVE.includes(this.#state);
    this.#clock = live ? setInterval(() => this.#tick(), 1000) : undefined;
    this.#tick();
  }

  /** Shows the time that is left, and whether the last request failed. */
  #tick(trouble = this.#trouble) {
    this.#trouble = trouble;
    const left = (this.#deadline - now()) / 1000;
    const stale = now() > Math.min(this.#deadline, this.#rotates);
    this.#card.showTime(left, this.#totalS, stale, trouble);
  }
}

if (!customElements.get("qr-login")) customElements.define("qr-login", QRLoginElement);
