/**
 * <qr-login src="/qrlogin/">: shows a QR code, waits for the phone, asks "continue as …?" and logs this browser in.
 *
 * Knows: the native JSON wire (begin, status and its streams, redeem, cancel), and how to ask again without being a
 * nuisance. Refuses to know: other origins, the device code (an HttpOnly cookie), who the person is. The scanner's tag
 * and `op` live in private fields: never in the DOM, an attribute or an event.
 *
 * Attributes  src             where the browser door is mounted; same origin only
 *             next            path to open once logged in ("/account"); without it the page is loaded again
 *             picture         shows the server's own picture, qr.png, in place of the plain one
 *             start="manual"  waits for a click before it asks for a code
 *             stream          "events" or "socket": hears of news that way; asks again and again where that fails
 *             csrf-header, csrf-token   a header that the application wants on every POST
 *             state           written by the element, for CSS and tests: a key of VIEWS
 * Events      qr-login:state     {state}     the state changed
 *             qr-login:redeemed  {login_id}  logged in; preventDefault() keeps the page where it is
 * Methods     start() cancel(), and request() and `texts` to override
 * Parts       card picture qr icon countdown remaining title name hint typed code note link actions button primary
 * CSS         --qr-login-accent, -on-accent, -ink, -muted, -surface, -line, -alarm, -radius, -size; color-scheme
 * Children    shown when JavaScript does not run, and where the code does not help: a link to a password form, say
 *
 * Importing defines <qr-login>, unless the name is taken; a subclass defines itself. Works under a strict CSP with
 * Trusted Types, and on plain http (no crypto.subtle). Takes what `document` offers from its prototype, because
 * <form name="createElementNS"> on the page shadows the document's own.
 */

import {
  DRAWINGS, Guard, PATIENCE_S, TOKENS, Trouble, backoff, call, doorUrl, hidden, make, now, ownPath, plain, seconds, sheetOf,
  sleep, unfocused, webAddress,
} from "./qr-login-parts.js";
import { Stream, takePlace } from "./qr-login-streams.js";
import { languageOf, textsFor } from "./qr-login-texts.js";

/** What each state shows beside its two texts: a drawing, its tone, then its actions, the main one first. */
const VIEWS = Object.freeze({
  idle: ["phone", "", "start"], starting: ["corners", ""], pending: ["", ""], scanned: ["phone", "", "no"],
  confirmed: ["person", "", "yes", "no"], redeeming: ["person", ""], redeemed: ["check", ""],
  denied: ["cross", "alarm", "renew"], cancelled: ["cross", "quiet", "renew"], expired: ["clock", "quiet", "renew"],
  superseded: ["phone", "quiet", "here"], used: ["mark", "quiet", "reload"],
  unknown: ["mark", "alarm", "renew"], forgotten: ["clock", "quiet", "renew"],
  offline: ["mark", "alarm", "again"], unavailable: ["mark", "alarm", "again"], refused: ["mark", "alarm", "again"],
});
const LIVE = ["pending", "scanned", "confirmed"]; // a deadline runs and the server is being asked
const OVER = ["denied", "cancelled", "expired"];
const HELPLESS = ["offline", "unavailable", "refused", "unknown"]; // the children show again

/** Error codes of the wire that end a login for this page, and the state that says so. */
const ENDS = new Map([["denied", "denied"], ["cancelled", "cancelled"], ["expired", "expired"],
  ["superseded", "superseded"], ["unknown_login", "unknown"], ["already_redeemed", "used"]]);

const HOLD_S = 25; // the longest wait that the wire allows
const REDEEM_PATIENCE_S = 4; // all tries have to fit into the 30 s in which the same op gets the same answer
const PAUSE_MS = 3000; // between polls that the server does not hold
const GRACE_MS = 3000; // a picture may still be scanned so long after the next one was due
const TRIES = 5; // failures in a row before the page asks the person
const STREAMS = ["events", "socket"];
const PROBE_MS = 5000; // a stream that says nothing at first is checked, once: some proxies keep back what they should hand on
const QUIET_MS = 30_000; // and now and then while it goes on saying nothing
const YOUNG_MS = 10_000; // a stream that ends so early without a word has failed; a later end is how they end
const STREAM_AGAIN_MS = 60_000; // not before, after one that failed

const STYLE = `
.hint:empty, .typed:empty, .note:empty, .actions:empty { display: none !important }
.card { display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 1rem;
  inline-size: min(100%, 22rem); min-block-size: 27rem; margin-inline: auto; padding: 1.5rem clamp(.75rem, 5%, 1.75rem);
  color: var(--ink); background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius);
  text-align: center; line-height: 1.4; overflow-wrap: anywhere }
.picture { --tone: var(--accent); position: relative; display: grid; place-items: center; inline-size: 6.5rem;
  aspect-ratio: 1; max-inline-size: 100%; border-radius: 50%; background: color-mix(in srgb, var(--tone) 9%, #0000) }
.wide { inline-size: var(--qr-login-size, 16rem); background: none }
.qr { position: absolute; inset: 9px; inline-size: calc(100% - 18px); aspect-ratio: 1; background: #fff;
  border-radius: .875rem; forced-color-adjust: none; transition: opacity .3s }
.stale .qr { opacity: .12 }
.icon { inline-size: 3.25rem; aspect-ratio: 1 }
.wide .icon { inline-size: 62%; stroke: var(--line) }
.starting .icon, .redeeming .icon { animation: breathe 1.2s ease-in-out infinite alternate }
.scanned .icon { animation: nudge 1.6s ease-in-out infinite }
.countdown { position: absolute; inset: 0; aspect-ratio: 1; fill: none; stroke: var(--line); stroke-width: 3px }
.countdown rect { x: 2px; y: 2px; width: calc(100% - 4px); height: calc(100% - 4px); rx: 50% }
.wide rect { rx: 1.25rem } .redeemed .countdown { stroke: var(--accent) }
.countdown .remaining { display: none; stroke: var(--accent); stroke-dasharray: 1;
  stroke-dashoffset: calc(1 - var(--left, 1)); transition: stroke-dashoffset 1s linear }
.live .remaining { display: inline }
.title { font-size: 1.25rem; font-weight: 650; line-height: 1.25; text-wrap: balance } .name { color: var(--accent) }
.hint, .typed, .note { color: var(--muted); text-wrap: balance } .note { font-size: .875rem }
:is(.title, .hint, .typed):lang(zh) { word-break: keep-all } /* a line ends after a clause, not within a word */
.hint, .typed { margin-block-start: .375rem }
.code { color: var(--ink); font: 650 1.125em ui-monospace, monospace; letter-spacing: .06em; white-space: nowrap }
.link { display: inline-flex; align-items: center; min-block-size: 2.75rem; color: var(--accent); font-weight: 600 }
.actions { display: grid; gap: .625rem; inline-size: 100% }
.card:focus { outline: none }
.card:focus-visible, button:focus-visible, .link:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px }
@keyframes breathe { from { opacity: .4 } } @keyframes nudge { 50% { transform: translateY(-4px) } }
@media (forced-colors: active) { .countdown { stroke: GrayText; stroke-width: 1px }
  .countdown .remaining, .icon, .wide .icon { stroke: CanvasText } .countdown .remaining { stroke-width: 3px } }
`;
const sheet = sheetOf(TOKENS + STYLE);

/** @typedef {keyof typeof VIEWS} State @typedef {import("./qr-login-parts.js").Answer} Answer */

const hex = (/** @type {number} */ byte) => byte.toString(16).padStart(2, "0");

/** A code and where to type it, if the server gave both. @param {Answer} begun @returns {string[]} */
function typedCode({ user_code: code, verification_uri: uri }) {
  return /^[A-Z0-9-]{4,20}$/.test(code) && plain(uri) ? [code, plain(uri).replace(/^https:\/\//, "")] : [];
}

export class QRLoginElement extends HTMLElement {
  static observedAttributes = ["src"];

  /** @type {State | ""} */ #state = "";
  /** @type {AbortController | null} */ #run = null; // the one conversation with the server
  /** @type {AbortController | null} */ #ears = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #clock;
  /** @type {Record<string, HTMLElement & SVGElement>} */ #at; // the parts of the card
  #guard; // whose press counts
  #shown = ""; // state and tag on the screen: another scanner is another question
  #id = ""; #version = 0; #name = ""; #tag = ""; // the login that is held, and who scanned it
  /** @type {string[]} */ #typed = []; // a code to type, and where
  #op = ""; // made per click on "Continue", kept until it is answered
  #total = 1; // seconds that the countdown began with
  #deadline = 0; #rotates = 0; // instants of now(): when the state dies, and the picture
  #pollAt = 0; #callAt = 0; // no status before; nothing at all before, because the server said so
  #streamAt = 0; // no stream before
  #known = false; // the server has known this login after it began: cookies work here
  /** @type {Readonly<Record<string, string>>} */ #texts = {}; // those of what is on the screen
  #pictures = 0; // drawn by the server so far: each has an address of its own, for browsers keep what they fetched
  #trouble = false; // the last call failed and is tried again
  #left = false; // this page was sent elsewhere

  constructor() {
    super();
    const path = make("path", "", { fill: "#000" }), image = make("image", "", { width: "100%", height: "100%" }), icon = make("path");
    const left = make("rect", "remaining", { pathLength: "1" });
    const qr = make("svg", "qr", { role: "img", "shape-rendering": "crispEdges" },
      make("rect", "", { width: "100%", height: "100%", fill: "#fff" }), path, image);
    const picture = make("div", "picture", {},
      make("svg", "countdown", { "aria-hidden": "true" }, make("rect"), left), qr,
      make("svg", "icon", { "aria-hidden": "true", viewBox: "0 0 24 24" }, icon));
    image.addEventListener("error", () => image.removeAttribute("href")); // else a torn page would hide the plain code
    const title = make("p", "title", { id: "title" }), hint = make("p", "hint"), typed = make("p", "typed");
    const link = make("a", "link", { target: "_blank", rel: "noopener", hidden: "" });
    const note = make("p", "note", { role: "status" }), actions = make("div", "actions"), slot = make("slot");
    const card = make("div", "card", { role: "group", tabindex: "-1", "aria-labelledby": "title" },
      picture, make("div", "", { role: "status" }, title, hint, typed), link, note, actions, slot);
    this.#at = { path, image, icon, qr, left, picture, title, hint, typed, link, note, actions, slot, card };
    this.#guard = new Guard(card);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(card);
  }

  /** What is on the screen: a key of VIEWS. */
  get state() { return this.#state; }
  /** The strings in use: those of the catalogue in the language that `lang` says. */
  get texts() { return textsFor(this, "login"); }

  connectedCallback() {
    const { signal } = (this.#ears = new AbortController());
    this.#guard.watch(signal);
    /** @param {string} type @param {(event: any) => void} heard */
    const hear = (type, heard) => window.addEventListener(type, heard, { signal });
    hear("visibilitychange", () => (hidden() ? this.#rest() : this.#wake()));
    hear("pagehide", () => this.#rest());
    hear("pageshow", (event) => event.persisted && (this.#left ? location.reload() : this.#wake()));
    hear("online", () => this.#state === "offline" && this.#go());
    if (this.#state) return this.#wake();
    const begin = () => (this.getAttribute("start") === "manual" ? this.#show("idle") : this.start());
    queueMicrotask(() => signal.aborted || begin()); // the module that imports this one may replace texts first
  }

  disconnectedCallback() {
    this.#halt();
    this.#ears?.abort();
    clearInterval(this.#clock);
  }

  /** @param {string} _name @param {string | null} old @param {string | null} value */
  attributeChangedCallback(_name, old, value) {
    if (this.isConnected && old !== value && this.#state && this.#state !== "idle") this.start();
  }

  /** Asks for a new code, whatever was going on. */
  start() {
    this.#forget();
    this.#show("starting");
    this.#go();
  }

  /** "That is not me." The page forgets the login, and nobody else can redeem it; telling the server may fail. */
  cancel() {
    const id = this.#id, { signal } = new AbortController();
    if (!id || this.#op) return;
    const tell = () => this.#call(`${id}/cancel`, {}, signal);
    this.#halt();
    this.#show("cancelled");
    tell().catch(() => sleep(PAUSE_MS, signal).then(tell)).catch(() => {});
  }

  /** The one place that talks to the server. Override it to add headers, or to play the server in a test.
   * @param {URL} url @param {RequestInit} init @returns {Promise<Response>} */
  request(url, init) { return fetch(url, init); }

  // What to do next

  /** Goes on from what is held: a redeem without an answer, a login to watch, or nothing yet. */
  #go() {
    this.#halt();
    if (hidden() && !this.#op) return; // #wake comes here again
    const run = (this.#run = new AbortController()), { signal } = run;
    (this.#op ? this.#redeem(signal) : this.#id ? this.#watch(signal) : this.#begin(signal)).catch((error) => {
      if (signal.aborted) return;
      if (!(error instanceof Trouble)) console.error("<qr-login>", error);
      this.#trouble = false; // it is said in full now
      const late = error.passing && this.#id && !this.#op && now() > this.#deadline;
      const state = error.state === "unknown" && this.#known ? "forgotten" : error instanceof Trouble ? error.state : "unavailable";
      this.#show(late ? "expired" : /** @type {State} */ (state));
    }).finally(() => { if (this.#run === run) this.#run = null; });
  }

  #halt() { this.#run?.abort(); this.#run = null; }
  #rest() { if (LIVE.includes(this.#state)) this.#halt(); } // a begin or a redeem on its way is let finish

  #wake() {
    if (LIVE.includes(this.#state)) this.#count();
    if (!this.#run && (this.#op || this.#state === "starting" || LIVE.includes(this.#state))) this.#go();
  }

  #forget() {
    this.#id = this.#op = this.#tag = this.#name = "", this.#typed = [], this.#pollAt = 0, this.#total = 1;
    this.#trouble = this.#known = false;
  }

  /** @param {string} action a text's key, of those in VIEWS */
  #act(action) {
    if (action === "start" || action === "renew") return this.start();
    if (action === "no") return this.cancel();
    if (action === "reload") return location.reload();
    if (action === "yes") this.#op = Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join("");
    else if (!this.#op && now() > this.#deadline) return this.start(); // nothing left to try again
    if (!this.#op) this.#show("starting");
    this.#go();
  }

  // The conversation

  /** @param {AbortSignal} signal */
  async #begin(signal) {
    await this.#persist(async () => {
      const answer = await this.#call("begin", {}, signal);
      if (answer.state !== "pending" || !/^[\w-]{1,64}$/.test(answer.login_id)) throw new Trouble("unavailable");
      this.#typed = typedCode(answer);
      this.#hear(answer, answer.login_id);
    }, signal, 3);
    if (!hidden()) await this.#watch(signal, HOLD_S);
  }

  /** Reads the status until the login is over; the first time at once, for what is on the screen may be old. */
  async #watch(/** @type {AbortSignal} */ signal, hold = 0) {
    /** @type {(() => void) | null} */
    let leave = null; // without a place among the connections, it asks often instead of being held
    try {
      for (; this.#id; hold = HOLD_S) {
        await sleep(this.#pollAt - now(), signal);
        const socket = this.getAttribute("stream") === "socket" && now() >= this.#streamAt; // is none of the six
        if (socket) leave = leave?.() ?? null;
        else leave ??= await takePlace();
        if (signal.aborted) throw signal.reason;
        const free = socket || leave;
        if (!hold || !free || !await this.#listen(signal)) await this.#poll(signal, free ? hold : -1);
      }
    } finally {
      leave?.();
    }
  }

  /** One question; `hold` -1: not held, and not soon again. @param {AbortSignal} signal @param {number} hold */
  async #poll(signal, hold) {
    const id = this.#id, version = this.#version, asked = now();
    const left = Math.max(1, Math.ceil((this.#deadline - asked) / 1000) + 1);
    let wait = 0;
    const answer = await this.#persist(async () => {
      wait = this.#trouble ? 0 : Math.max(0, Math.min(hold, left)); // after a failure at once, so that the note goes away
      return this.#hear(await this.#call(`${id}?after=${version}&wait=${wait}`, null, signal, wait + PATIENCE_S), id);
    }, signal);
    this.#known = true;
    const rests = hold < 0 || (wait > 0 && version === this.#version && now() - asked < 1000);
    this.#pollAt = now() + Math.max(seconds(answer.retry_after, 60) * 1000, rests ? PAUSE_MS : 0);
  }

  /** Hears of news as they come, until the stream ends. False without one; why it failed, the next poll finds out.
   * @param {AbortSignal} signal @returns {Promise<boolean>} */
  async #listen(signal) {
    const kind = this.getAttribute("stream") ?? "", id = this.#id, since = now();
    if (!STREAMS.includes(kind) || since < this.#streamAt) return false;
    let stream, heard = false, failed = false;
    try {
      stream = new Stream(kind, doorUrl(this, `${id}/${kind}?after=${this.#version}`));
      for (let quiet = PROBE_MS; this.#id && !failed; quiet = QUIET_MS) {
        const due = Math.min(now() + quiet, this.#rotates, this.#deadline);
        const news = await stream.next(Math.max(1000, due - now()), signal);
        const version = this.#version, picture = this.#at.path.getAttribute("d"), end = ENDS.get(news?.error);
        if (end) throw new Trouble(end, false);
        this.#hear(news ?? await this.#call(`${id}?after=${version}&wait=0`, null, signal), id);
        if (news) heard = true, this.#tick(false);
        else failed = version !== this.#version || picture !== this.#at.path.getAttribute("d"); // there was news, and it kept silent
        this.#known = true;
      }
    } catch (error) {
      if (signal.aborted || (error instanceof Trouble && !error.passing)) throw error;
      failed = !heard && now() - since < YOUNG_MS;
      this.#pollAt = now() + 1000 * Math.random(); // a server that restarts has ended everybody's at once
    } finally {
      stream?.close();
    }
    if (failed) this.#streamAt = now() + STREAM_AGAIN_MS;
    return true;
  }

  /** Takes in a begin or status answer. @param {Answer} answer @param {string} id */
  #hear(answer, id) {
    const { login_id, state, version, qr, scanned_by: by, expires_in, rotates_in } = answer;
    if (login_id === id && OVER.includes(state)) this.#show(state);
    else if (login_id === id && state === "redeemed") this.#show("used"); // but not by a click on this page
    else if (login_id !== id || !LIVE.includes(state) || !Number.isInteger(version)) throw new Trouble("unavailable");
    else {
      if (state === "pending") this.#draw(qr, webAddress(answer.verification_uri_complete), id);
      this.#id = id, this.#version = version, this.#name = plain(by?.shown_as);
      this.#tag = typeof by?.tag === "string" ? by.tag : "";
      this.#deadline = now() + seconds(expires_in) * 1000;
      this.#rotates = now() + (seconds(rotates_in) || Infinity) * 1000 + GRACE_MS;
      this.#total = Math.max(seconds(expires_in), state === "confirmed" && this.#state !== state ? 1 : this.#total);
      this.#show(state);
    }
    return answer;
  }

  /** @param {AbortSignal} signal */
  async #redeem(signal) {
    const login_id = this.#id;
    this.#show("redeeming");
    try {
      await this.#persist(async () => {
        const body = { acknowledged: this.#tag, op: this.#op };
        const answer = await this.#call(`${login_id}/redeem`, body, signal, REDEEM_PATIENCE_S);
        if (answer.state !== "redeemed" || answer.login_id !== login_id) throw new Trouble("unavailable");
      }, signal);
    } catch (error) {
      if (!(error instanceof Trouble) || !["scanner_changed", "wrong_state"].includes(error.code)) throw error;
      this.#op = ""; // answered: what was acknowledged is not what is there. Look, and ask again
      return this.#watch(signal);
    }
    this.#show("redeemed");
    if (!this.#tell("redeemed", { login_id })) return;
    this.#left = true;
    const next = ownPath(this.getAttribute("next"));
    if (next) location.replace(next);
    if (!next || next.split("#")[0] === location.href.split("#")[0]) location.reload();
  }

  /** Tries until it works, is answered for good, or has failed too often.
   * @template T @param {() => Promise<T>} attempt @param {AbortSignal} signal @returns {Promise<T>} */
  async #persist(attempt, signal, tries = TRIES) {
    for (let failed = 1; ; failed++) {
      await sleep(this.#callAt - now(), signal);
      try {
        const result = await attempt();
        this.#tick(false);
        return result;
      } catch (error) {
        if (signal.aborted || !(error instanceof Trouble) || !error.passing) throw error;
        this.#callAt = now() + error.after * 1000;
        if (failed >= tries || this.#state === "starting" && error.after > PATIENCE_S) throw error;
        this.#tick(true);
        await sleep(backoff(failed), signal);
      }
    }
  }

  /** @param {string} path @param {object | null} body @param {AbortSignal} signal @returns {Promise<Answer>} */
  #call(path, body, signal, patience = PATIENCE_S) {
    return call(this, path, body, signal, { patience, ends: ENDS, keepalive: path.endsWith("/cancel") });
  }

  // The screen

  /** @param {State} state */
  #show(state) {
    const shown = `${state} ${this.#tag}`, before = this.#state, inside = this.matches(":focus-within");
    if (shown === this.#shown) return;
    const texts = (this.#texts = this.texts), at = this.#at, [drawing, tone, ...actions] = VIEWS[state], live = LIVE.includes(state);
    this.#shown = shown;
    this.#state = state;
    this.setAttribute("state", state);
    at.card.setAttribute("lang", languageOf(this));

    const wide = ["pending", "starting"].includes(state);
    at.picture.setAttribute("class", `picture ${state} ${tone} ${wide ? "wide" : ""} ${live ? "live" : ""}`);
    at.qr.toggleAttribute("hidden", state !== "pending");
    at.qr.setAttribute("aria-label", texts.label);
    at.icon.setAttribute("d", DRAWINGS[drawing]);
    const name = make("bdi", "name");
    name.textContent = this.#name || texts.nameless;
    at.title.replaceChildren(...texts[state].split("{name}").flatMap((text, index) => (index ? [name, text] : [text])));
    at.link.textContent = texts.sameDevice;
    at.hint.textContent = texts[`${state}Hint`];
    at.typed.replaceChildren(...(state === "pending" ? this.#otherwise() : []));
    at.actions.replaceChildren(...actions.map((action) => this.#button(action)));
    this.#guard.hold();
    at.slot.toggleAttribute("hidden", !HELPLESS.includes(state));
    at.card.setAttribute("aria-busy", String(["starting", "redeeming"].includes(state)));
    if ([...OVER, "unknown", "forgotten", "used", "redeemed"].includes(state)) this.#forget();
    this.#count();

    // Focus follows if it was here; for a question also if it was nowhere; never out of a field that is being typed in.
    const nowhere = unfocused();
    if (inside || (nowhere && state === "confirmed")) at.card.focus({ preventScroll: inside });
    if (before !== state) this.#tell("state", { state });
  }

  /** For people without a camera; letter by letter for those who listen. @returns {(string | Element)[]} */
  #otherwise() {
    const [code, uri] = this.#typed;
    if (!code) return [];
    const shown = make("b", "code", { "aria-hidden": "true" }), where = make("bdi"), spoken = make("span");
    shown.textContent = code, where.textContent = uri;
    spoken.textContent = code.replace("-", ",").split("").join(" ").replace(" ,", ",");
    spoken.setAttribute("class", "spoken");
    /** @type {Record<string, Element[]>} */
    const parts = { "{code}": [shown, spoken], "{uri}": [where] };
    return this.#texts.typed.split(/(\{code\}|\{uri\})/).flatMap((text) => parts[text] ?? text);
  }

  /** @param {string} action */
  #button(action) {
    const button = make("button", action === "no" ? "button" : "button primary", { type: "button" }, this.#texts[action]);
    return this.#guard.on(button, () => this.#act(action));
  }

  /** @param {string} what @param {object} detail */
  #tell(what, detail) {
    const options = { bubbles: true, composed: true, cancelable: what === "redeemed", detail };
    return this.dispatchEvent(new CustomEvent(`qr-login:${what}`, options));
  }

  /** With `picture`, the server's own lies over the plain one, which shows until it is there and when it does not come.
   * @param {{size?: unknown, path?: unknown} | undefined} qr @param {string} address what the picture says @param {string} id */
  #draw(qr, address, id) {
    const { size, path } = qr ?? {}, at = this.#at;
    const good = Number.isInteger(size) && typeof path === "string" && /^M[\d\s.,MmHhVvLlZz-]+$/.test(path);
    if (!good) throw new Trouble("unavailable");
    at.link.setAttribute("href", address);
    if (at.path.getAttribute("d") === path) return;
    at.qr.setAttribute("viewBox", `0 0 ${size} ${size}`);
    at.path.setAttribute("d", path);
    if (this.hasAttribute("picture")) at.image.setAttribute("href", doorUrl(this, `${id}/qr.png?at=${++this.#pictures}`).href);
  }

  #count() {
    clearInterval(this.#clock);
    this.#clock = LIVE.includes(this.#state) ? setInterval(() => this.#tick(), 1000) : undefined;
    this.#tick();
  }

  /** The ring moves every second; the words, which are read aloud, change four times in all. */
  #tick(trouble = this.#trouble) {
    this.#trouble = trouble;
    const texts = this.#texts, { left: ring, picture, note, link } = this.#at, live = LIVE.includes(this.#state);
    const left = (this.#deadline - now()) / 1000;
    ring.style.setProperty("--left", String(Math.max(0, Math.min(1, (left - 1) / this.#total))));
    const stale = now() > Math.min(this.#deadline, this.#rotates), touch = matchMedia("(pointer: coarse)").matches;
    picture.classList.toggle("stale", stale); // a dead code is not offered
    link.toggleAttribute("hidden", stale || !touch || this.#state !== "pending" || !link.getAttribute("href"));
    const within = left > 60 ? texts.minutes.replace("{n}", String(Math.ceil(left / 60))) : left > 30 ? texts.minute
      : texts.seconds.replace("{n}", left > 10 ? "30" : "10");
    const text = this.#trouble ? texts.retrying : live ? within : "";
    if (note.textContent !== text) note.textContent = text;
  }
}

if (!customElements.get("qr-login")) customElements.define("qr-login", QRLoginElement);
