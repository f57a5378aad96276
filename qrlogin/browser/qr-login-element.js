/**
 * <qr-login>: shows a QR code, waits for the phone, asks "Continue as …?" and logs this browser in.
 *
 * This module knows the native JSON protocol (begin, status and its streams, redeem, cancel) and
 * how to poll and retry without overloading the server. What people see is in qr-login-card.js. It
 * does not know other origins, the device code (an HttpOnly cookie) or who the user is. The
 * scanner's tag and `op` live in private fields: never in the DOM, an attribute or an event.
 *
 * Importing this module defines <qr-login>, unless the name is taken; a subclass defines itself.
 * The element works under a strict CSP with Trusted Types, and on plain http (no crypto.subtle).
 */

import { Card, LIVE } from "./qr-login-card.js";
import {
  Base, PATIENCE_S, REFUSALS, Trouble, attribute, backoff, call, emit, hidden, isPreview,
  keepAttribute, mountUrl, now, outdated, ownPath, plain, reflect, seconds, sleep, supported,
  upgrade, viewOf, webAddress, writeState,
} from "./qr-login-parts.js";
import { Stream, acquireConnectionSlot } from "./qr-login-streams.js";
import { languageIsThere, textsFor } from "./qr-login-texts.js";

const OVER = ["denied", "cancelled", "expired"];

/** Error codes that end a login for this page, and the state that each leads to. */
const ENDS = new Map(/** @type {[unknown, string][]} */ ([...REFUSALS,
  ["denied", "denied"], ["cancelled", "cancelled"], ["expired", "expired"],
  ["superseded", "superseded"], ["unknown_login", "unknown"], ["already_redeemed", "used"],
  ["paused", "paused"]]));

const HOLD_S = 25; // the longest wait that the server accepts
const CUT_S = 3; // a held poll that dies later than that was cut, for example by a proxy
const CUTS = [0, 408, 502, 504, 524]; // how a proxy says so
// All attempts must fit into the 30 s in which a repeated op gets the same answer.
const REDEEM_PATIENCE_S = 4;
const PAUSE_MS = 3000; // between polls that the server does not hold
const GRACE_MS = 3000; // how long a code can still be scanned after the next one was due
const TRIES = 5; // failures in a row before the page shows an error
const BUSY = "too_many_logins", BUSY_TRIES = 30; // the server slows down this browser's network
const RENEWALS = 3; // codes that a page shows by itself before it asks for a press
const LATE_MS = 1000; // the time that a page has to render missing attributes
// A page that is open for longer may have a CSRF token that has expired.
const OLD_MS = 600_000;
const STREAMS = ["events", "socket"];
// A stream that is silent at first is checked by a poll: some proxies buffer what they should send.
const PROBE_MS = 5000;
const QUIET_MS = 30_000; // between later checks of a silent stream
const YOUNG_MS = 10_000; // a stream that ends before that without a message has failed
const STREAM_AGAIN_MS = 60_000; // the delay before the next stream after a failed one

/** @typedef {import("./qr-login-card.js").State} State
 * @typedef {import("./qr-login-parts.js").Answer} Answer */

const TEXTS = ["src", "next", "start", "stream", "csrf-header", "csrf-token"], FLAGS = ["picture"];
const ATTRIBUTES = [...TEXTS, ...FLAGS];
/** What a status answer has while the code may be shown. */
const CODE = ["qr", "verification_uri_complete", "rotates_in", "code_expires_in"];
/** The logins that the elements of this page follow. @type {Set<string>} */
const followed = new Set();

/** Random text. @param {number} bytes */
const random = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)),
  (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The code to type and where to type it, if the server sent both.
 * @param {Answer} begun @returns {string[]} */
function typedCode({ user_code: code, verification_uri: uri }) {
  const where = plain(uri).replace(/^https:\/\//, "");
  return /^[A-Z0-9-]{4,20}$/.test(String(code)) && where ? [code, where] : [];
}

/** What the attributes are as properties.
 * @typedef {object} Properties
 * @property {string} src where the browser routes are mounted; same origin only
 * @property {string} next path to open after the login
 * @property {string} start "manual": waits for a click before it requests a code
 * @property {string} stream "events" or "socket"
 * @property {string} csrfHeader a header that the application requires on every POST
 * @property {string} csrfToken its value
 * @property {boolean} picture shows the server's picture instead of the plain code */

/** The login page: `<qr-login src="/qrlogin/"></qr-login>`.
 *
 * @attr {string} src - where the browser routes are mounted; same origin only
 * @attr {string} next - path to open after the login, such as "/account"; default: reload the page
 * @attr {boolean} picture - shows the server's picture, qr.png, instead of the plain code
 * @attr {"manual"} start - waits for a click before it requests a code
 * @attr {"events" | "socket"} stream - receives changes that way, and polls where that fails
 * @attr {string} csrf-header - a header that the application requires on every POST
 * @attr {string} csrf-token - its value
 * @attr {string} state - set by the element, for CSS and tests: as in docs/element.md
 *
 * @fires {CustomEvent<{state: string}>} qr-login:state - the state changed; also as qr-login-state
 * @fires {CustomEvent<{login_id: string, body: object}>} qr-login:redeemed - logged in, and the
 *   server's answer; preventDefault() keeps the page open; also as qr-login-redeemed
 *
 * @slot - shown without JavaScript, and in states where the code does not help: a link to a password
 *   form, for example
 *
 * @csspart card - all of it
 * @csspart picture - the place of the code, or of a drawing
 * @csspart qr - the code
 * @csspart icon - a drawing
 * @csspart countdown - the ring around the picture
 * @csspart remaining - the part of the ring for the time that is left
 * @csspart title - the first line
 * @csspart name - the account in the title
 * @csspart odd - letters of its name that are not plain a to z
 * @csspart hint - the text below the title
 * @csspart digits - the digits to type on the phone
 * @csspart typed - the code to type, and where
 * @csspart code - the code to type
 * @csspart note - the time that is left, and a failed request
 * @csspart link - opens the code on the device itself
 * @csspart fold - the button that unfolds the code on a phone
 * @csspart actions - the buttons below
 * @csspart button - each of them
 * @csspart primary - the one that goes on
 *
 * @cssprop --qr-login-accent - buttons, the ring and names
 * @cssprop --qr-login-on-accent - text on them
 * @cssprop --qr-login-ink - text
 * @cssprop --qr-login-muted - text of less weight
 * @cssprop --qr-login-surface - the card
 * @cssprop --qr-login-line - its border
 * @cssprop --qr-login-alarm - refusals and failures
 * @cssprop [--qr-login-radius=1.25rem] - the card's corners
 * @cssprop [--qr-login-size=16rem] - the width of the code
 *
 * @tagname qr-login */
export class QRLoginElement extends /** @type {new () => HTMLElement & Properties} */ (Base) {
  /** @internal */
  static observedAttributes = [...ATTRIBUTES, "state"];

  /** @type {State | ""} */ #state = "";
  /** @type {AbortController | null} */ #controller = null; // aborts the current conversation
  /** @type {AbortController | null} */ #listeners = null; // removes the listeners on `window`
  /** @type {ReturnType<typeof setInterval> | undefined} */ #clock;
  #card = new Card(this, (action) => this.#onAction(action)); // what the page shows
  #shownKey = ""; // state and tag on the screen: another scanner is another question
  #id = ""; #version = 0; // the current login
  #stored = ""; // the login that this page showed before it was loaded again
  // Logins whose code has left the screen: a phone that read it in time may still scan them.
  /** @type {Map<string, {version: number, deadline: number}>} */ #older = new Map();
  /** @type {AbortController | null} */ #olderController = null;
  #renewals = 0; // codes that the page has requested without a press
  #digits = ""; // that its user types on the phone
  #name = ""; #tag = ""; // who scanned it
  #fullName = ""; // of the account that approved it
  /** @type {string[]} */ #typedCode = []; // a code to type, and where
  #op = ""; // made by each click on "Continue", kept until the server answers
  #totalS = 1; // the length of the countdown
  // Instants of now(): when the login expires, and when the code rotates and leaves the screen.
  #deadline = 0; #rotates = 0; #codeEnds = Infinity;
  #holdS = HOLD_S; // shorter after a proxy has cut a held poll
  #begun = false; // the server has begun a login for this page
  #src = ""; // the `src` of the current login
  #pollAfter = 0; // instant of now(): no poll before
  #callAfter = 0; // instant of now(): no request before, because the server said so
  #streamAfter = 0; // instant of now(): no stream before
  #cookieWorks = false; // the server has recognized this login after begin
  #shown = { id: "", address: "" }; // the picture on the screen, and what it contains
  #pictures = 0; // gives each picture of the server its own URL, because browsers cache pictures
  #trouble = ""; // the last request failed and is being retried: "retrying", or "busy"
  #leaving = false; // the page is being replaced after the login

  /** The current state, as the attribute `state` names it. */
  get state() { return this.#state; }
  /** The texts in use: those of the catalogue in the language that `lang` names. */
  get texts() { return textsFor(this, "login"); }

  connectedCallback() {
    upgrade(this, ATTRIBUTES);
    const { signal } = (this.#listeners = new AbortController());
    const view = viewOf(this) ?? window;
    this.#card.watch(signal, () => this.#onSight());
    /** @param {string} type @param {(event: any) => void} listener */
    const listen = (type, listener) => view.addEventListener(type, listener, { signal });
    listen("visibilitychange", () => this.#onSight());
    listen("pagehide", () => this.#pause());
    listen("pageshow", (event) => {
      if (event.persisted) this.#leaving ? location.reload() : this.#resume();
    });
    listen("online", () => this.#state === "offline" && this.#run());
    if (this.#id || this.#stored) followed.add(this.#id || this.#stored);
    if (this.#state) return this.#resume();
    // Later, because the module that imports this one may replace texts first.
    languageIsThere(this).then(() => signal.aborted || this.#open());
  }

  disconnectedCallback() {
    this.#pause(true);
    this.#listeners?.abort();
    followed.delete(this.#id || this.#stored);
    clearInterval(this.#clock);
  }

  /** @param {string} name @param {string | null} old @param {string | null} value */
  attributeChangedCallback(name, old, value) {
    const state = this.#state;
    if (name === "state") {
      // A morph removed or replaced it.
      if (state && value !== state) queueMicrotask(() => writeState(this, this.#state || state));
      return;
    }
    keepAttribute(this, name, value);
    if (!this.isConnected || !state || old === value) return;
    const manual = attribute(this, "start") === "manual";
    const src = attribute(this, "src"), moved = name === "src" && src && src !== this.#src;
    const mended = name.startsWith("csrf") && value && (["refused", "stale"].includes(state)
      || (state === "starting" && !this.#begun));
    if (name === "start" && manual && state === "starting" && !this.#begun) {
      this.#halt();
      this.#show("idle");
    } else if (state === "starting" && moved && !this.#src) this.#open();
    else if (state === "idle" ? name === "start" && !manual : moved || mended) this.begin();
  }

  /** The page is there: goes on with the login that it had before a reload, or begins one. */
  #open() {
    this.#stored = this.#recall();
    if (!this.#stored && attribute(this, "start") === "manual") return this.#show("idle");
    this.#show("starting");
    this.#run();
  }

  /** Requests a new code, in any state. */
  begin() {
    if (this.#state === "pending" && this.#codeEnds < Infinity) this.#keepFollowing();
    this.#reset();
    this.#stored = "", this.#renewals = 0;
    this.#show("starting");
    this.#run();
  }

  /** "That is not me." This page drops the login and no other page can redeem it, so it does not
   * matter if the cancel request fails. */
  cancel() {
    const id = this.#id;
    if (!id || this.#op) return;
    this.#halt();
    this.#drop(id, ...this.#older.keys());
    this.#show("cancelled");
  }

  /** Cancels logins, so that their phones are notified. This page follows them no longer.
   * @param {string[]} ids */
  #drop(...ids) {
    const { signal } = new AbortController();
    for (const id of ids) {
      this.#older.delete(id);
      const send = () => this.#call(`${id}/cancel`, {}, signal);
      send().catch(() => sleep(PAUSE_MS, signal).then(send)).catch(() => {});
    }
  }

  /** Every request to the server goes through here. Override it to add headers, or to replace the
   * server in a test.
   * @param {URL} url @param {RequestInit} init @returns {Promise<Response>} */
  request(url, init) { return fetch(url, init); }

  // What to do next

  /** Continues with what there is: an unanswered redeem, a login to watch, or a new login. */
  #run() {
    this.#halt();
    if (this.#isOutOfSight() && !this.#op) return; // #resume calls this again
    this.#followOlder();
    const controller = (this.#controller = new AbortController()), { signal } = controller;
    const work = this.#op ? this.#redeem(signal) : this.#id ? this.#watch(signal)
      : this.#stored ? this.#goOn(signal) : this.#begin(signal);
    work.catch((error) => {
      if (signal.aborted) return;
      const state = this.#stateAfter(error);
      this.#trouble = ""; // the view below replaces the note
      // The code expired before a phone scanned it.
      const renewed = state === "expired" && this.#state === "pending" && this.#codeEnds < Infinity;
      if (renewed && this.#renewals++ < RENEWALS) {
        this.#reset();
        this.#run();
      } else this.#show(state);
    }).finally(() => { if (this.#controller === controller) this.#controller = null; });
  }

  /** The state that a failure leads to. @param {any} error @returns {State} */
  #stateAfter(error) {
    if (!(error instanceof Trouble)) {
      console.error("<qr-login>", error);
      return "unavailable";
    }
    if (error.retryable && this.#id && !this.#op && now() > this.#deadline) return "expired";
    if (error.state === "unknown" && this.#cookieWorks) return "forgotten";
    // The first request of a fresh page is refused: its token is not too old, but wrong.
    if (error.state === "stale" && !this.#begun && now() < OLD_MS) return "refused";
    return /** @type {State} */ (error.state);
  }

  /** Whether the page is hidden, or the element has no place on it. */
  #isOutOfSight() { return hidden(this) || !this.#card.isRendered; }

  #onSight() { this.#isOutOfSight() ? this.#pause() : this.#resume(); }

  #halt() { this.#controller?.abort(); this.#controller = null; }

  /** A begin or redeem request that is under way may finish, unless the element is removed. */
  #pause(removed = false) {
    if (removed || LIVE.includes(this.#state)) this.#halt();
    this.#olderController?.abort();
    this.#olderController = null;
  }

  #resume() {
    const live = LIVE.includes(this.#state);
    if (live) this.#startClock();
    if (!this.#controller && (this.#op || this.#state === "starting" || live)) this.#run();
    else if (!this.#isOutOfSight()) this.#followOlder();
  }

  #reset() {
    followed.delete(this.#id);
    this.#id = this.#op = this.#tag = this.#name = this.#fullName = "", this.#typedCode = [];
    this.#digits = "";
    this.#pollAfter = 0, this.#totalS = 1, this.#codeEnds = Infinity;
    this.#trouble = "", this.#cookieWorks = false;
  }

  // A reload, or a tab that the browser dropped, goes on with the same login. Its id is no secret.

  get #storageKey() { return `qr-login ${mountUrl(this, "").pathname}`; }

  /** Stores the current login for this tab; "" forgets it. */
  #remember(id = this.#id) {
    try {
      if (id) sessionStorage.setItem(this.#storageKey, [id, ...this.#typedCode].join("\n"));
      else sessionStorage.removeItem(this.#storageKey);
    } catch {
      // this page may not store anything
    }
  }

  /** The stored login, unless another element of this page follows it. */
  #recall() {
    try {
      const [id, code, uri] = (sessionStorage.getItem(this.#storageKey) ?? "").split("\n");
      if (!/^[\w-]{1,64}$/.test(id) || followed.has(id)) return "";
      followed.add(id);
      this.#typedCode = typedCode({ user_code: code, verification_uri: uri });
      return id;
    } catch {
      return "";
    }
  }

  // Logins whose code has left the screen

  #keepFollowing() {
    this.#older.set(this.#id, { version: this.#version, deadline: this.#deadline });
  }

  /** Follows the older logins, while the page is in sight. */
  #followOlder() {
    if (this.#olderController || !this.#older.size) return;
    const { signal } = (this.#olderController = new AbortController());
    const follow = async () => {
      while (this.#older.size) {
        for (const [id, seen] of this.#older) {
          if (now() > seen.deadline) this.#older.delete(id);
          else await this.#lookAtOlder(id, seen, signal);
          if (signal.aborted) return;
        }
        await sleep(PAUSE_MS, signal);
      }
      this.#olderController = null;
    };
    follow().catch(() => {}); // aborted
  }

  /** Asks for the status of an older login. The page switches to it when a phone has scanned it.
   * @param {string} id @param {{version: number, deadline: number}} seen
   * @param {AbortSignal} signal */
  async #lookAtOlder(id, seen, signal) {
    /** @type {Answer} */ let answer;
    try {
      answer = await this.#status(id, seen.version, 0, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof Trouble) || error.retryable) return;
      if (error.state !== "denied") return void this.#older.delete(id);
      answer = Object.assign(Object.create(null), { login_id: id, state: "denied" });
    }
    const { state } = answer;
    if (!this.#older.has(id) || answer.login_id !== id || signal.aborted) return;
    if (state === "pending") seen.deadline = now() + seconds(answer.expires_in) * 1000;
    else if (["scanned", "confirmed", "denied"].includes(state)) this.#switchTo(id, answer);
    else this.#older.delete(id);
  }

  /** @param {string} id @param {Answer} answer its status */
  #switchTo(id, answer) {
    this.#halt();
    this.#older.delete(id);
    const others = [this.#id, ...this.#older.keys()].filter(Boolean);
    this.#reset();
    this.#drop(...others);
    try {
      this.#apply(answer, id);
    } catch {
      this.#id = id; // the next poll finds out what this was
    }
    if (this.#id) this.#run();
  }

  /** @param {string} action the key of a text, as in the card's VIEWS */
  #onAction(action) {
    if (action === "start" || action === "renew") return this.begin();
    if (action === "no") return this.cancel();
    if (action === "reload") return location.reload();
    if (action === "yes") this.#op = random(16);
    // The login has expired.
    else if (!this.#op && !this.#stored && now() > this.#deadline) return this.begin();
    if (!this.#op) this.#show("starting");
    this.#run();
  }

  // The conversation with the server

  /** @param {AbortSignal} signal */
  async #begin(signal) {
    await this.#attributesAreThere(signal);
    await this.#retry(async () => {
      const answer = await this.#call("begin", {}, signal);
      if (answer.state !== "pending" || !/^[\w-]{1,64}$/.test(answer.login_id))
        throw new Trouble("unavailable");
      this.#typedCode = typedCode(answer);
      this.#apply(answer, answer.login_id);
    }, signal, 3);
    this.#begun = true;
    if (!this.#isOutOfSight()) await this.#watch(signal, HOLD_S);
  }

  /** A framework may render attributes after it has connected the element, and Turbo shows a copy
   * of a page before the page. @param {AbortSignal} signal */
  async #attributesAreThere(signal) {
    while (isPreview(this)) await sleep(100, signal);
    const token = !attribute(this, "csrf-header") || this.hasAttribute("csrf-token");
    if (!attribute(this, "src") || !token) await sleep(LATE_MS, signal);
    this.#src = attribute(this, "src") ?? "";
  }

  /** Goes on with the login that this page showed before it was loaded again, if it is not over.
   * @param {AbortSignal} signal */
  async #goOn(signal) {
    const id = this.#stored;
    await this.#attributesAreThere(signal);
    try {
      await this.#retry(async () => {
        const answer = await this.#status(id, 0, 0, signal);
        if (!LIVE.includes(answer.state)) throw new Trouble("unknown", false);
        this.#apply(answer, id);
      }, signal, 3);
    } catch (error) {
      if (signal.aborted || (error instanceof Trouble && error.retryable)) throw error;
      this.#stored = "", this.#typedCode = [];
      followed.delete(id);
      this.#remember("");
      if (attribute(this, "start") === "manual") return this.#show("idle");
      return this.#begin(signal);
    }
    this.#stored = "", this.#begun = this.#cookieWorks = true;
    await this.#watch(signal, HOLD_S);
  }

  /** Follows the login until it is over. The first poll is not held: the view may be old. */
  async #watch(/** @type {AbortSignal} */ signal, hold = 0) {
    // Without a connection slot, the page polls and is not held.
    let release = /** @type {(() => void) | null} */ (null);
    try {
      // The first poll comes first: a phone may have scanned the code that is over.
      for (let first = !hold; this.#id && (first || !this.#codeIsOver()); first = false) {
        await sleep(this.#pollAfter - now(), signal);
        // A WebSocket does not count towards the browser's limit of six connections.
        const socket = attribute(this, "stream") === "socket" && now() >= this.#streamAfter;
        if (socket) release = release?.() ?? null;
        else release ??= await acquireConnectionSlot();
        if (signal.aborted) throw signal.reason;
        const free = socket || release;
        if (!hold || !free || !await this.#followStream(signal))
          await this.#poll(signal, free ? hold : -1);
        hold = HOLD_S;
      }
    } finally {
      release?.();
    }
    if (this.#id) await this.#renew(signal);
  }

  /** Whether the code may no longer be shown, and the server still takes a scan of it. */
  #codeIsOver() { return this.#state === "pending" && now() >= this.#codeEnds; }

  /** Replaces a code that has left the screen, or asks for a press after a few of them.
   * @param {AbortSignal} signal */
  async #renew(signal) {
    this.#keepFollowing();
    this.#followOlder();
    if (this.#renewals++ >= RENEWALS) return this.#show("expired");
    this.#reset();
    await this.#begin(signal);
  }

  /** Asks for the status. No address is the same twice and the server returns `echo`, because a
   * service worker or a cache may keep answers and give them to a later request.
   * @param {string} id @param {number} version @param {number} wait in seconds
   * @param {AbortSignal} signal @returns {Promise<Answer>} */
  async #status(id, version, wait, signal) {
    const echo = random(6), path = `${id}?after=${version}&wait=${wait}&echo=${echo}`;
    const answer = await this.#call(path, null, signal, wait + PATIENCE_S);
    if ((answer.echo ?? echo) === echo) return answer;
    console.warn("<qr-login>: a service worker, a cache or request() returned an old answer of",
      mountUrl(this, "").pathname, "- exempt this path from it");
    throw new Trouble("unavailable");
  }

  /** Polls the status once. A `hold` of -1 means: not held, and a pause before the next poll.
   * @param {AbortSignal} signal @param {number} hold */
  async #poll(signal, hold) {
    const id = this.#id, version = this.#version, asked = now();
    const ends = Math.min(this.#deadline, this.#codeIsOver() ? Infinity : this.#codeEnds);
    const left = Math.max(1, Math.ceil((ends - asked) / 1000) + 1);
    let wait = 0, cut = false;
    const answer = await this.#retry(async () => {
      // After a failure the poll is not held, so that the note disappears at once.
      wait = this.#trouble || cut ? 0 : Math.max(0, Math.floor(Math.min(hold, left, this.#holdS)));
      const sent = now();
      try {
        return this.#apply(await this.#status(id, version, wait, signal), id);
      } catch (error) {
        const lasted = (now() - sent) / 1000;
        cut = error instanceof Trouble && CUTS.includes(error.status) && error.state !== "offline"
          && !signal.aborted && lasted > CUT_S && lasted < wait + 1;
        if (!cut) throw error;
        // Something in between ends long requests. The next ones are shorter.
        this.#holdS = Math.max(CUT_S, lasted / 2);
        wait = 0;
        return this.#apply(await this.#status(id, version, 0, signal), id);
      }
    }, signal);
    this.#cookieWorks = true;
    // A held poll that is answered shows that the limit is longer; the element comes back slowly.
    const whole = wait > 0 && now() - asked > 1000 * (wait - 1);
    if (whole) this.#holdS = Math.min(HOLD_S, this.#holdS + 0.2);
    // The server did not hold the poll, although it could have.
    const unheld = wait > 0 && version === this.#version && now() - asked < 1000;
    const pause = hold < 0 || unheld ? PAUSE_MS : 0;
    this.#pollAfter = now() + Math.max(seconds(answer.retry_after, 60) * 1000, pause);
  }

  /** Receives changes until the stream ends. Returns false without a stream. The next poll finds
   * out why a stream failed.
   * @param {AbortSignal} signal @returns {Promise<boolean>} */
  async #followStream(signal) {
    const kind = attribute(this, "stream") ?? "", id = this.#id, since = now();
    if (!STREAMS.includes(kind) || since < this.#streamAfter) return false;
    let stream, received = false, failed = false;
    try {
      const { id: shown } = this.#shown, picture = shown && `&picture=${shown}`;
      stream = new Stream(kind, mountUrl(this, `${id}/${kind}?after=${this.#version}${picture}`));
      for (let quiet = PROBE_MS; this.#id && !failed && !this.#codeIsOver(); quiet = QUIET_MS) {
        const due = Math.min(now() + quiet, this.#rotates, this.#deadline, this.#codeEnds);
        const message = await stream.next(Math.max(1000, due - now()), signal);
        const version = this.#version, code = this.#card.code;
        const end = ENDS.get(message?.error);
        if (end) throw new Trouble(end, false);
        this.#apply(message ?? await this.#status(id, version, 0, signal), id);
        if (message) received = true, this.#tick("");
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
    const { login_id, state, version, scanned_by: by, expires_in, rotates_in } = answer;
    const same = login_id === id, known = id === this.#id ? this.#version : 0;
    if (same && state === "expired") throw new Trouble("expired", false);
    if (same && OVER.includes(state)) this.#show(state);
    else if (same && state === "redeemed") this.#show("used"); // not by a click on this page
    else if (!same || !LIVE.includes(state) || !Number.isInteger(version) || version < known)
      throw new Trouble("unavailable");
    else {
      const before = this.#state, pending = state === "pending";
      // Without all of these, the code has left the screen, and the login can still be scanned.
      const begun = id !== this.#id && !this.#stored;
      const shown = begun || CODE.some((name) => answer[name] !== undefined);
      if (pending && shown) this.#draw(answer, id);
      followed.add(id);
      this.#id = id, this.#version = version;
      this.#name = plain(by?.shown_as), this.#fullName = plain(by?.name, 320);
      this.#digits = /^[0-9]{2,3}$/.test(answer.match_code) ? answer.match_code : "";
      this.#tag = typeof by?.tag === "string" ? by.tag : "";
      this.#deadline = now() + seconds(expires_in) * 1000;
      this.#rotates = now() + (seconds(rotates_in) || Infinity) * 1000 + GRACE_MS;
      const { code_expires_in: most } = answer, endless = !pending || (shown && most === undefined);
      this.#codeEnds = endless ? Infinity : now() + seconds(most) * 1000;
      const left = (Math.min(this.#deadline, this.#codeEnds) - now()) / 1000;
      // A scan and an approval each start a time of their own.
      this.#totalS = Math.max(left, !pending && before !== state ? 1 : this.#totalS);
      if (!pending) this.#drop(...this.#older.keys());
      this.#remember();
      this.#show(state);
    }
    return answer;
  }

  /** @param {AbortSignal} signal */
  async #redeem(signal) {
    const login_id = this.#id;
    /** @type {Answer} */ let body;
    this.#show("redeeming");
    try {
      body = await this.#retry(async () => {
        const sent = { acknowledged: this.#tag, op: this.#op };
        const answer = await this.#call(`${login_id}/redeem`, sent, signal, REDEEM_PATIENCE_S);
        if (answer.state !== "redeemed" || answer.login_id !== login_id)
          throw new Trouble("unavailable");
        return answer;
      }, signal);
    } catch (error) {
      const changed = error instanceof Trouble
        && ["scanner_changed", "wrong_state"].includes(error.code);
      if (!changed) throw error;
      this.#op = ""; // the login is not the one that was acknowledged: fetch it and ask again
      return this.#watch(signal);
    }
    this.#show("redeemed");
    if (!emit(this, "qr-login", "redeemed", { login_id, body }, true)) return;
    this.#leaving = true;
    const next = ownPath(attribute(this, "next"));
    if (next) location.replace(next);
    if (!next || next.split("#")[0] === location.href.split("#")[0]) location.reload();
  }

  /** Retries until the attempt succeeds, fails for good, or has failed `tries` times. A server that
   * is busy with this network works, so the page waits for its turn.
   * @template T
   * @param {() => Promise<T>} attempt @param {AbortSignal} signal @returns {Promise<T>} */
  async #retry(attempt, signal, tries = TRIES) {
    for (let failed = 1; ; failed++) {
      await sleep(this.#callAfter - now(), signal);
      try {
        const result = await attempt();
        this.#tick("");
        return result;
      } catch (error) {
        if (signal.aborted || !(error instanceof Trouble) || !error.retryable) throw error;
        this.#callAfter = now() + error.retryAfter * 1000;
        const busy = error.code === BUSY;
        const tooLong = !busy && this.#state === "starting" && error.retryAfter > PATIENCE_S;
        if (failed >= (busy ? BUSY_TRIES : tries) || tooLong) throw error;
        this.#tick(busy ? "busy" : "retrying");
        await sleep(backoff(busy ? 1 : failed), signal);
      }
    }
  }

  /** @param {string} path @param {object | null} body @param {AbortSignal} signal
   * @returns {Promise<Answer>} */
  #call(path, body, signal, patience = PATIENCE_S) {
    const keepalive = path.endsWith("/cancel"), picture = this.#shown.id;
    return call(this, path, body, signal, { patience, ends: ENDS, keepalive, picture });
  }

  // What the page shows

  /** @param {State} state */
  #show(state) {
    const key = `${state} ${this.#tag} ${this.#typedCode} ${this.#digits}`, before = this.#state;
    if (key === this.#shownKey) return;
    this.#shownKey = key;
    this.#state = state;
    writeState(this, state);
    this.#card.show(state, this.#name, this.#typedCode, this.#fullName, this.#digits);
    if ([...OVER, "unknown", "forgotten", "used", "redeemed"].includes(state)) {
      this.#reset();
      this.#remember("");
    }
    this.#startClock();
    if (before !== state) emit(this, "qr-login", "state", { state });
  }

  /** Draws the plain code. With `picture`, the server's picture covers it.
   * @param {Answer} answer @param {string} id */
  #draw(answer, id) {
    const address = webAddress(answer.verification_uri_complete);
    if (answer.qr === undefined && address && address === this.#shown.address) return;
    const { size, path, id: picture } = answer.qr ?? {};
    const valid = Number.isInteger(size) && typeof path === "string"
      && /^M[\d\s.,MmHhVvLlZz-]+$/.test(path);
    if (!valid) throw new Trouble("unavailable");
    if (this.#card.draw(size, path, address) && attribute(this, "picture") !== null)
      this.#card.cover(mountUrl(this, `${id}/qr.png?at=${++this.#pictures}`).href);
    this.#shown = { id: /^[\w-]{12}$/.test(picture) ? picture : "", address };
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
    const ends = Math.min(this.#deadline, this.#codeEnds);
    const stale = now() > Math.min(ends, this.#rotates);
    this.#card.showTime((ends - now()) / 1000, this.#totalS, stale, trouble);
  }
}

reflect(QRLoginElement, TEXTS, FLAGS);

const { customElements } = globalThis; // undefined on a server
if (customElements && !customElements.get("qr-login"))
  customElements.define("qr-login", supported() ? QRLoginElement
    : outdated((element) => textsFor(element, "login").outdated, languageIsThere));
