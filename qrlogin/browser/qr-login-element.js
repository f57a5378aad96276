/**
 * <qr-login src="/qrlogin/">: shows a QR code, waits for the phone, asks "Continue as …?" and
 * logs this browser in.
 *
 * This module knows the native JSON protocol (begin, status and its streams, redeem, cancel) and
 * how to poll and retry without overloading the server. It does not know other origins, the device
 * code (an HttpOnly cookie) or who the user is. The scanner's tag and `op` live in private fields:
 * never in the DOM, an attribute or an event.
 *
 * Attributes  src             where the browser routes are mounted; same origin only
 *             next            path to open after the login ("/account"); default: reload the page
 *             picture         shows the server's picture, qr.png, instead of the plain code
 *             start="manual"  waits for a click before it requests a code
 *             stream          "events" or "socket": receives changes that way, and polls where
 *                             that fails
 *             csrf-header, csrf-token   a header that the application requires on every POST
 *             state           set by the element, for CSS and tests: a key of VIEWS
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
 * It takes the methods of `document` from the prototype, because <form name="createElementNS"> on
 * the page shadows the document's own.
 */

import {
  DRAWINGS, Guard, PATIENCE_S, TOKENS, Trouble, backoff, call, doorUrl, hidden, make, now, ownPath,
  plain, seconds, sheetOf, sleep, unfocused, webAddress,
} from "./qr-login-parts.js";
import { Stream, acquireConnectionSlot } from "./qr-login-streams.js";
import { languageOf, textsFor } from "./qr-login-texts.js";

/** What each state shows beside its two texts: a drawing, its tone, and its actions, the main one
 * first. */
const VIEWS = Object.freeze({
  idle: ["phone", "", "start"], starting: ["corners", ""],
  pending: ["", ""], scanned: ["phone", "", "no"], confirmed: ["person", "", "yes", "no"],
  redeeming: ["person", ""], redeemed: ["check", ""],
  denied: ["cross", "alarm", "renew"], cancelled: ["cross", "quiet", "renew"],
  expired: ["clock", "quiet", "renew"], superseded: ["phone", "quiet", "here"],
  used: ["mark", "quiet", "reload"], unknown: ["mark", "alarm", "renew"],
  forgotten: ["clock", "quiet", "renew"], offline: ["mark", "alarm", "again"],
  unavailable: ["mark", "alarm", "again"], refused: ["mark", "alarm", "again"],
});
const LIVE = ["pending", "scanned", "confirmed"]; // the login has a deadline, and the page polls
const OVER = ["denied", "cancelled", "expired"];
const WITH_CHILDREN = ["offline", "unavailable", "refused", "unknown"]; // the children show again

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

const STYLE = `
.hint:empty, .typed:empty, .note:empty, .actions:empty { display: none !important }
.card { display: flex; flex-direction: column; align-items: center; justify-content: center;
  gap: 1rem; inline-size: min(100%, 22rem); min-block-size: 27rem; margin-inline: auto;
  padding: 1.5rem clamp(.75rem, 5%, 1.75rem); color: var(--ink); background: var(--surface);
  border: 1px solid var(--line); border-radius: var(--radius);
  text-align: center; line-height: 1.4; overflow-wrap: anywhere }
.picture { --tone: var(--accent); position: relative; display: grid; place-items: center;
  inline-size: 6.5rem; aspect-ratio: 1; max-inline-size: 100%; border-radius: 50%;
  background: color-mix(in srgb, var(--tone) 9%, #0000) }
.wide { inline-size: var(--qr-login-size, 16rem); background: none }
.qr { position: absolute; inset: 9px; inline-size: calc(100% - 18px); aspect-ratio: 1;
  background: #fff; border-radius: .875rem; forced-color-adjust: none; transition: opacity .3s }
.stale .qr { opacity: .12 }
.icon { inline-size: 3.25rem; aspect-ratio: 1 }
.wide .icon { inline-size: 62%; stroke: var(--line) }
.starting .icon, .redeeming .icon { animation: breathe 1.2s ease-in-out infinite alternate }
.scanned .icon { animation: nudge 1.6s ease-in-out infinite }
.countdown { position: absolute; inset: 0; aspect-ratio: 1; fill: none; stroke: var(--line);
  stroke-width: 3px }
.countdown rect { x: 2px; y: 2px; width: calc(100% - 4px); height: calc(100% - 4px); rx: 50% }
.wide rect { rx: 1.25rem } .redeemed .countdown { stroke: var(--accent) }
.countdown .remaining { display: none; stroke: var(--accent); stroke-dasharray: 1;
  stroke-dashoffset: calc(1 - var(--left, 1)); transition: stroke-dashoffset 1s linear }
.live .remaining { display: inline }
.title { font-size: 1.25rem; font-weight: 650; line-height: 1.25; text-wrap: balance }
.name { color: var(--accent) }
.hint, .typed, .note { color: var(--muted); text-wrap: balance } .note { font-size: .875rem }
:is(.title, .hint, .typed):lang(zh) { word-break: keep-all } /* breaks after a clause */
.hint, .typed { margin-block-start: .375rem }
.code { color: var(--ink); font: 650 1.125em ui-monospace, monospace; letter-spacing: .06em;
  white-space: nowrap }
.link { display: inline-flex; align-items: center; min-block-size: 2.75rem; color: var(--accent);
  font-weight: 600 }
.actions { display: grid; gap: .625rem; inline-size: 100% }
.card:focus { outline: none }
.card:focus-visible, button:focus-visible, .link:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 3px }
@keyframes breathe { from { opacity: .4 } } @keyframes nudge { 50% { transform: translateY(-4px) } }
@media (forced-colors: active) { .countdown { stroke: GrayText; stroke-width: 1px }
  .countdown .remaining, .icon, .wide .icon { stroke: CanvasText }
  .countdown .remaining { stroke-width: 3px } }
`;
const sheet = sheetOf(TOKENS + STYLE);

/** @typedef {keyof typeof VIEWS} State @typedef {import("./qr-login-parts.js").Answer} Answer */

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
  /** @type {Record<string, HTMLElement & SVGElement>} */ #parts; // the parts of the card
  #guard; // decides which presses count
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
  /** @type {Readonly<Record<string, string>>} */ #texts = {}; // the texts of the current view
  #pictures = 0; // gives each picture of the server its own URL, because browsers cache pictures
  #trouble = false; // the last request failed and is being retried
  #leaving = false; // the page is being replaced after the login

  constructor() {
    super();
    const path = make("path", "", { fill: "#000" }), icon = make("path");
    const image = make("image", "", { width: "100%", height: "100%" });
    // A picture that does not load would hide the plain code under it.
    image.addEventListener("error", () => image.removeAttribute("href"));
    const left = make("rect", "remaining", { pathLength: "1" });
    const qr = make("svg", "qr", { role: "img", "shape-rendering": "crispEdges" },
      make("rect", "", { width: "100%", height: "100%", fill: "#fff" }), path, image);
    const picture = make("div", "picture", {},
      make("svg", "countdown", { "aria-hidden": "true" }, make("rect"), left), qr,
      make("svg", "icon", { "aria-hidden": "true", viewBox: "0 0 24 24" }, icon));
    const title = make("p", "title", { id: "title" });
    const hint = make("p", "hint"), typed = make("p", "typed");
    const link = make("a", "link", { target: "_blank", rel: "noopener", hidden: "" });
    const note = make("p", "note", { role: "status" });
    const actions = make("div", "actions"), slot = make("slot");
    const card = make("div", "card", { role: "group", tabindex: "-1", "aria-labelledby": "title" },
      picture, make("div", "", { role: "status" }, title, hint, typed), link, note, actions, slot);
    this.#parts = {
      path, image, icon, qr, left, picture, title, hint, typed, link, note, actions, slot, card,
    };
    this.#guard = new Guard(card);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(card);
  }

  /** The current view: a key of VIEWS. */
  get state() { return this.#state; }
  /** The texts in use: those of the catalogue in the language that `lang` names. */
  get texts() { return textsFor(this, "login"); }

  connectedCallback() {
    const { signal } = (this.#listeners = new AbortController());
    this.#guard.watch(signal);
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

  /** @param {string} action the key of a text, as in VIEWS */
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
      stream = new Stream(kind, doorUrl(this, `${id}/${kind}?after=${this.#version}`));
      for (let quiet = PROBE_MS; this.#id && !failed; quiet = QUIET_MS) {
        const due = Math.min(now() + quiet, this.#rotates, this.#deadline);
        const message = await stream.next(Math.max(1000, due - now()), signal);
        const version = this.#version, code = this.#parts.path.getAttribute("d");
        const end = ENDS.get(message?.error);
        if (end) throw new Trouble(end, false);
        const probe = `${id}?after=${version}&wait=0`;
        this.#apply(message ?? await this.#call(probe, null, signal), id);
        if (message) received = true, this.#tick(false);
        // The poll found a change that the stream did not send.
        else failed = version !== this.#version || code !== this.#parts.path.getAttribute("d");
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

  // The screen

  /** @param {State} state */
  #show(state) {
    const key = `${state} ${this.#tag}`, before = this.#state;
    const inside = this.matches(":focus-within");
    if (key === this.#shownKey) return;
    const texts = (this.#texts = this.texts), parts = this.#parts;
    const [drawing, tone, ...actions] = VIEWS[state], live = LIVE.includes(state);
    this.#shownKey = key;
    this.#state = state;
    this.setAttribute("state", state);
    parts.card.setAttribute("lang", languageOf(this));

    const wide = ["pending", "starting"].includes(state);
    parts.picture.setAttribute("class",
      `picture ${state} ${tone} ${wide ? "wide" : ""} ${live ? "live" : ""}`);
    parts.qr.toggleAttribute("hidden", state !== "pending");
    parts.qr.setAttribute("aria-label", texts.label);
    parts.icon.setAttribute("d", DRAWINGS[drawing]);
    const name = make("bdi", "name");
    name.textContent = this.#name || texts.nameless;
    const title = texts[state].split("{name}");
    parts.title.replaceChildren(
      ...title.flatMap((text, index) => (index ? [name, text] : [text])));
    parts.link.textContent = texts.sameDevice;
    parts.hint.textContent = texts[`${state}Hint`];
    parts.typed.replaceChildren(...(state === "pending" ? this.#typedNodes() : []));
    parts.actions.replaceChildren(...actions.map((action) => this.#button(action)));
    this.#guard.hold();
    parts.slot.toggleAttribute("hidden", !WITH_CHILDREN.includes(state));
    parts.card.setAttribute("aria-busy", String(["starting", "redeeming"].includes(state)));
    if ([...OVER, "unknown", "forgotten", "used", "redeemed"].includes(state)) this.#reset();
    this.#startClock();

    // The card takes the focus if the focus was inside. A question takes it also if nothing had
    // the focus. The card never takes it from a field that the user is typing in.
    const nowhere = unfocused();
    if (inside || (nowhere && state === "confirmed")) parts.card.focus({ preventScroll: inside });
    if (before !== state) this.#emit("state", { state });
  }

  /** The code to type, for people without a camera. Screen readers spell it letter by letter.
   * @returns {(string | Element)[]} */
  #typedNodes() {
    const [code, uri] = this.#typedCode;
    if (!code) return [];
    const shown = make("b", "code", { "aria-hidden": "true" });
    const where = make("bdi"), spoken = make("span");
    shown.textContent = code, where.textContent = uri;
    spoken.textContent = code.replace("-", ",").split("").join(" ").replace(" ,", ",");
    spoken.setAttribute("class", "spoken");
    /** @type {Record<string, Element[]>} */
    const nodes = { "{code}": [shown, spoken], "{uri}": [where] };
    return this.#texts.typed.split(/(\{code\}|\{uri\})/).flatMap((text) => nodes[text] ?? text);
  }

  /** @param {string} action */
  #button(action) {
    const look = action === "no" ? "button" : "button primary";
    const button = make("button", look, { type: "button" }, this.#texts[action]);
    return this.#guard.on(button, () => this.#onAction(action));
  }

  /** Dispatches an event. Returns false if a listener prevented its default.
   * @param {string} name @param {object} detail */
  #emit(name, detail) {
    const options = { bubbles: true, composed: true, cancelable: name === "redeemed", detail };
    return this.dispatchEvent(new CustomEvent(`qr-login:${name}`, options));
  }

  /** Draws the plain code. With `picture`, the server's picture covers it once it has loaded.
   * @param {{size?: unknown, path?: unknown} | undefined} qr
   * @param {string} address what the code contains @param {string} id */
  #draw(qr, address, id) {
    const { size, path } = qr ?? {}, parts = this.#parts;
    const valid = Number.isInteger(size) && typeof path === "string"
      && /^M[\d\s.,MmHhVvLlZz-]+$/.test(path);
    if (!valid) throw new Trouble("unavailable");
    parts.link.setAttribute("href", address);
    if (parts.path.getAttribute("d") === path) return;
    parts.qr.setAttribute("viewBox", `0 0 ${size} ${size}`);
    parts.path.setAttribute("d", path);
    if (!this.hasAttribute("picture")) return;
    parts.image.setAttribute("href", doorUrl(this, `${id}/qr.png?at=${++this.#pictures}`).href);
  }

  #startClock() {
    clearInterval(this.#clock);
    const live = LIVE.includes(this.#state);
    this.#clock = live ? setInterval(() => this.#tick(), 1000) : undefined;
    this.#tick();
  }

  /** Updates the countdown. The ring moves every second; the text, which screen readers read
   * aloud, changes four times in all. */
  #tick(trouble = this.#trouble) {
    this.#trouble = trouble;
    const texts = this.#texts, { left: ring, picture, note, link } = this.#parts;
    const live = LIVE.includes(this.#state), left = (this.#deadline - now()) / 1000;
    const part = Math.max(0, Math.min(1, (left - 1) / this.#totalS));
    ring.style.setProperty("--left", String(part));
    const stale = now() > Math.min(this.#deadline, this.#rotates);
    const touch = matchMedia("(pointer: coarse)").matches;
    picture.classList.toggle("stale", stale); // an expired code fades out
    const offered = touch && !stale && this.#state === "pending" && link.getAttribute("href");
    link.toggleAttribute("hidden", !offered);
    const expiry = left > 60 ? texts.minutes.replace("{n}", String(Math.ceil(left / 60)))
      : left > 30 ? texts.minute : texts.seconds.replace("{n}", left > 10 ? "30" : "10");
    const text = this.#trouble ? texts.retrying : live ? expiry : "";
    if (note.textContent !== text) note.textContent = text;
  }
}

if (!customElements.get("qr-login")) customElements.define("qr-login", QRLoginElement);
