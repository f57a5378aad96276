/**
 * <qr-approve>: the phone's page. It shows the login request and sends the user's answer.
 *
 * This module knows the phone's calls. Two of them only read: `look` fetches the question when the
 * page comes into sight, and `outcome` asks how an approved login ended. The others (scan, confirm,
 * deny, release) need a press by a person: loading, previewing, prerendering the page or going back
 * to it changes nothing. It does not know who the user is or what a code means: the server reads
 * the address. In a frame it explains why it does not continue. What people see is in
 * qr-approve-card.js.
 *
 * In the question, declining comes first and both answers have the same weight. No button reacts
 * for half a second after a view appears or the window comes to the front (Guard), because the
 * press may have been meant for what was there before.
 */

import { Card } from "./qr-approve-card.js";
import {
  Base, PATIENCE_S, REFUSALS, Trouble, attribute, backoff, call, emit, hidden, isPreview,
  keepAttribute, now, outdated, parsed, reflect, seconds, sleep, supported, upgrade, viewOf,
  writeState,
} from "./qr-login-parts.js";
import { languageIsThere, textsFor } from "./qr-login-texts.js";

/** The attributes that are texts, and those that are on or off. */
const TEXT_ATTRIBUTES = ["src", "at", "account", "site", "home", "csrf-header", "csrf-token"];
const FLAGS = ["typed"];

/** Error codes and statuses that no retry can change, and the state that each leads to. */
const ENDS = new Map(/** @type {[unknown, string][]} */ ([
  ...REFUSALS, ["unknown_login", "gone"], ["already_scanned", "taken"], ["denied", "denied"],
  ["cancelled", "cancelled"], ["already_redeemed", "used"], ["expired", "expired"],
  ["wrong_state", "moved"], ["too_many_guesses", "guesses"],
  ["denied_by_site", "blocked"], ["step_up_needed", "stepup"],
  ["match_needed", "match"], ["wrong_match", "match"],
  [401, "signin"],
]));

/** The login's states that the server may return for each call, and the view that each leads to.
 * @type {Record<string, Record<string, string>>} */
const ANSWERS = {
  look: { pending: "ask", scanned: "ask", confirmed: "approved", redeemed: "redeemed" },
  scan: { scanned: "sending", confirmed: "sending", redeemed: "sending" },
  confirm: { confirmed: "approved", redeemed: "redeemed" },
  deny: { denied: "denied" },
  release: { pending: "released" },
  outcome: { confirmed: "approved", redeemed: "redeemed", denied: "denied",
    cancelled: "cancelled", expired: "uncollected" },
};
const READS = ["look", "outcome"]; // calls that change nothing
/** The calls that each action sends, in order. A login that this account holds already is not
 * scanned again. @type {Record<string, string[]>} */
const CALLS = {
  look: ["look"], rescan: ["look"], approve: ["scan", "confirm"], deny: ["scan", "deny"],
  stop: ["deny"], release: ["release"],
};
/** @type {Record<string, string>} */
const DECISIONS = {
  approved: "approved", redeemed: "approved", denied: "denied", released: "released",
  stopped: "denied",
};

/** Attributes that start the page again when they change in one of these states, in which no answer
 * of a person is under way. @type {[string[], string[]][]} */
const STARTERS = [
  [["src", "at", "typed"],
    ["framed", "found", "typing", "aim", "looking", "ask", "signin", "refused", "stale", "gone"]],
  [["csrf-header", "csrf-token"], ["looking", "refused", "stale"]],
];
const LABELS = ["account", "site", "home"]; // attributes that the views show

// A page that is open for longer may have a CSRF token that has expired.
const OLD_MS = 600_000;
const LATE_MS = 1000; // the time that a page has to render missing attributes
const TRIES = 4; // failures in a row before the page shows an error
const OUTCOME_MS = 3000; // between two questions about the outcome
const OUTCOME_MAX_MS = 600_000; // no login lasts longer
const LEAST_S = 20; // seconds; with less time left, the page does not ask
const MOST_TYPED = 12; // letters and digits: fits every code to type, and no signed code

/** Percent-encoding decoded, or the text itself if it is malformed. @param {string} text */
function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** @typedef {import("./qr-approve-card.js").State} State
 * @typedef {import("./qr-login-parts.js").Answer} Answer */

/** What the attributes are as properties.
 * @typedef {object} Properties
 * @property {string} src where the phone routes are mounted; same origin only
 * @property {string} at the path of this page without a code
 * @property {string} account the account that the browser would get, shown as text
 * @property {string} site the site's name, shown as text; without it: this host
 * @property {string} home the path of the link that each end offers
 * @property {string} csrfHeader a header that the application requires on every POST
 * @property {string} csrfToken its value
 * @property {boolean} typed asks for a code if the address has none (RFC 8628 section 3.3) */

/** The phone's page: `<qr-approve src="/qrlogin/phone/" at="/qr"></qr-approve>`.
 *
 * @attr {string} src - where the phone routes are mounted; same origin only
 * @attr {string} at - the path of this page without a code ("/qr"), as in verification_uri
 * @attr {string} account - the account that the browser would get, shown as text
 * @attr {string} site - the site's name, shown as text; without it: this host
 * @attr {string} home - the path of the link that each end offers
 * @attr {boolean} typed - asks for a code if the address has none (RFC 8628 section 3.3)
 * @attr {string} csrf-header - a header that the application requires on every POST
 * @attr {string} csrf-token - its value
 * @attr {string} state - set by the element, for CSS and tests: as in docs/approve.md
 *
 * @fires {CustomEvent<{state: string}>} qr-approve:state - the view changed; also as
 *   qr-approve-state
 * @fires {CustomEvent<{decision: "approved" | "denied" | "released"}>} qr-approve:done - the server
 *   accepted the answer; also as qr-approve-done
 *
 * @slot - shown without JavaScript, when no user is logged in, and where the element cannot work
 * @slot report - shown after a denial
 * @slot end - shown at every end
 *
 * @csspart card - all of it
 * @csspart picture - the place of a drawing
 * @csspart icon - a drawing
 * @csspart title - the heading
 * @csspart name - the account in the heading
 * @csspart hint - the text below the heading
 * @csspart compare - the question about a code that was typed
 * @csspart code - that code
 * @csspart known - whether the account was logged in on the browser before
 * @csspart facts - what is known of the browser
 * @csspart claim - what the browser says about itself
 * @csspart warning - when to say no
 * @csspart words - what the site says about its refusal
 * @csspart form - the form for a code or for digits
 * @csspart field - its field
 * @csspart note - a mistake, and a failed request
 * @csspart actions - the buttons
 * @csspart button - each of them
 * @csspart primary - the one that goes on
 * @csspart deny - the button "No"
 * @csspart approve - the button "Yes"
 * @csspart quiet - a button of less weight
 * @csspart link - a link
 * @csspart left - the time that is left
 *
 * @cssprop --qr-login-accent - "Yes", and names
 * @cssprop --qr-login-on-accent - text on it
 * @cssprop --qr-login-alarm - "No", refusals and failures
 * @cssprop --qr-login-on-alarm - text on it
 * @cssprop --qr-login-ink - text
 * @cssprop --qr-login-muted - text of less weight
 * @cssprop --qr-login-surface - the card
 * @cssprop --qr-login-line - its border
 * @cssprop [--qr-login-radius=1.25rem] - the card's corners
 *
 * @tagname qr-approve */
export class QRApproveElement extends /** @type {new () => HTMLElement & Properties} */ (Base) {
  /** @internal */
  static observedAttributes = [...TEXT_ATTRIBUTES, ...FLAGS, "state"];

  /** @type {State | ""} */ #state = "";
  /** @type {AbortController | null} */ #controller = null; // aborts the current call
  /** @type {AbortController | null} */ #listeners = null; // removes the listeners on `window`
  /** @type {ReturnType<typeof setInterval> | undefined} */ #clock;
  #card = new Card(this, (action) => this.#onAction(action), (code) => {
    this.#code = code, this.#pressed = true;
    this.#send("look");
  }, (digits) => {
    this.#digits = digits, this.#pressed = true;
    this.#send("approve");
  });
  /** @type {Answer} */ #login = Object.create(null); // the answer to the look
  #code = ""; // scanned or typed; never in an attribute or an event
  #givenCode = ""; // a code that the application set, instead of the one in the address
  #lastAction = "look"; // "Try again" repeats it
  #digits = ""; // that the person typed, as the browser shows them
  #claimed = false; // this account has scanned the login
  #approved = false; // this account approved the login, so that stopping it may come too late
  #answered = false; // the server has answered a call of this page
  #pressed = false; // a person has pressed a button of this page
  #live = false; // started, and not removed from the page since
  /** @type {string[]} */ #startedWith = []; #shownWith = ""; // values of attributes
  #left = false; // the page is in the back/forward cache, or on its way there
  #deadline = 0; #begunAt = 0; // instants of now()
  #retryAfter = 0; // seconds, after too many wrong codes
  #words = ""; #stepUp = ""; // what the site's judge answered

  /** The current state, as the attribute `state` names it. */
  get state() { return this.#state; }
  /** The texts in use: those of the catalogue in the language that `lang` names. */
  get texts() { return textsFor(this, "approve"); }
  /** A code that a scanner of the application read. Setting it starts again with this code; ""
   * returns to the code in the address. @param {string | null | undefined | false} text */
  set code(text) {
    const none = text === null || text === undefined || text === false || Number.isNaN(text);
    this.#givenCode = none ? "" : String(text).trim();
    if (this.#live) this.start();
  }

  connectedCallback() {
    const { signal } = (this.#listeners = new AbortController());
    upgrade(this, [...TEXT_ATTRIBUTES, ...FLAGS, "code"]);
    this.#card.dress();
    this.#card.watch(signal);
    /** @param {string} type @param {(event: any) => void} listener */
    const listen = (type, listener) => this.#window.addEventListener(type, listener, { signal });
    listen("visibilitychange", () => this.#refresh());
    listen("online", () => this.#state === "offline" && this.#refresh());
    listen("pagehide", () => {
      this.#left = true;
      if (this.#state !== "sending") this.#halt();
    });
    // A page that the browser restores may show a login that is over.
    listen("pageshow", (event) => event.persisted && this.start());
    // Later, because the module that imports this one may replace texts first.
    languageIsThere(this).then(() => {
      if (signal.aborted) return;
      if (!this.#live || this.#framed) return this.start();
      this.#card.hold(); // it was moved, perhaps under the user's finger
      this.#startClock();
    });
  }

  disconnectedCallback() {
    this.#listeners?.abort();
    clearInterval(this.#clock);
    // A microtask later, because an element that is only moved goes on.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#live = false;
      this.#halt();
    });
  }

  /** @param {string} name @param {string | null} _old @param {string | null} value */
  attributeChangedCallback(name, _old, value) {
    if (name !== "state") keepAttribute(this, name, value);
    // A microtask later, because a morph or a framework may be in the middle of its changes.
    if (this.#live) queueMicrotask(() => this.#live && this.#onAttributes());
  }

  /** Restores the state that a morph has removed, and shows what has changed. */
  #onAttributes() {
    if (this.getAttribute("state") !== this.#state) writeState(this, this.#state);
    const starts = STARTERS.some(([names, states], index) =>
      states.includes(this.#state) && this.#startedWith[index] !== this.#read(names));
    if (starts) this.start();
    else if (this.#shownWith !== this.#read(LABELS) && !["typing", "match"].includes(this.#state))
      this.#show(/** @type {State} */ (this.#state));
  }

  /** @param {string[]} names */
  #read(names) { return names.map((name) => this.getAttribute(name)).join("\n"); }

  /** Starts again from the address (or `code`): shows the question as soon as the page is in sight.
   * A code that a person could have typed is shown first, to be compared. */
  start() {
    this.#halt();
    this.#live = true, this.#startedWith = STARTERS.map(([names]) => this.#read(names));
    this.#code = this.#givenCode || this.#address(), this.#login = Object.create(null);
    this.#digits = "";
    this.#claimed = this.#approved = this.#pressed = this.#left = false, this.#state = "";
    if (this.#framed) this.#show("framed");
    else if (!this.#code) this.#show(this.typed ? "typing" : "aim");
    else if (this.#typedCode()) this.#show("found");
    else this.#send("look");
  }

  get #window() { return viewOf(this) ?? window; }
  get #framed() { return this.#window.top !== this.#window; }

  /** Every request to the server goes through here. Override it to add headers, or to replace the
   * server in a test.
   * @param {URL} url @param {RequestInit} init @returns {Promise<Response>} */
  request(url, init) { return fetch(url, init); }

  /** This page's address if it contains a code, else "". Only the server knows what it means. */
  #address() {
    const { origin, pathname, search } = location;
    const at = (attribute(this, "at") ?? "").replace(/\/+$/, "");
    // The query is not part of the code, nor is a slash that a server appended.
    if (at && pathname.startsWith(`${at}/`) && pathname.length > at.length + 1)
      return origin + pathname.replace(/\/$/, "");
    const here = at && pathname.replace(/\/+$/, "") === at;
    const typed = new URLSearchParams(search).get("user_code");
    return here && !typed ? "" : origin + pathname + search;
  }

  /** The code if a person could have typed it, in halves as the other screen shows it; else "".
   * RFC 8628 section 3.3.1. */
  #typedCode() {
    const from = `${(attribute(this, "at") ?? "").replace(/\/+$/, "")}/`;
    const url = /^https?:\/\//i.test(this.#code) && parsed(this.#code);
    const own = url && url.origin === location.origin && url.pathname.startsWith(from);
    const bare = !url ? this.#code
      : url.searchParams.get("user_code") || (own ? decoded(url.pathname.slice(from.length)) : "");
    const letters = bare.replace(/[^\p{L}\p{N}]/gu, "");
    if (!letters || letters.length > MOST_TYPED) return "";
    return letters.length === 8 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : bare;
  }

  // The conversation with the server

  /** @param {string} action the key of a text, as in the card's VIEWS */
  #onAction(action) {
    this.#pressed = true;
    if (action === "reload") return location.reload();
    this.#send(action === "again" ? this.#lastAction : action);
  }

  /** Sends the calls of an action, and shows what comes of it.
   * @param {string} action a key of CALLS */
  #send(action) {
    const typing = this.#state === "typing", looks = CALLS[action].includes("look");
    this.#halt();
    this.#lastAction = action;
    const { signal } = (this.#controller = new AbortController());
    this.#show(looks ? "looking" : "sending");
    this.#act(action, signal).catch((error) => {
      if (signal.aborted) return;
      const state = this.#stateAfter(error);
      if (typing && state === "gone") this.#showMistyped();
      else if (error.code === "wrong_match") this.#showWrong(error.triesLeft);
      else this.#show(state);
    });
  }

  /** The state that a failure leads to. @param {any} error @returns {State} */
  #stateAfter(error) {
    if (!(error instanceof Trouble)) {
      console.error(`<${this.localName}>`, error);
      return "unavailable";
    }
    this.#retryAfter = error.retryAfter;
    this.#words = error.words, this.#stepUp = error.stepUp;
    if (this.#approved && error.code === "already_redeemed") return "late";
    // The first call of a fresh page is refused: its token is not too old, but wrong.
    if (error.state === "stale" && !this.#answered && now() < OLD_MS) return "refused";
    return /** @type {State} */ (error.state);
  }

  #halt() { this.#controller?.abort(); this.#controller = null; }

  /** @param {string} action @param {AbortSignal} signal */
  async #act(action, signal) {
    let state = "";
    for (const verb of CALLS[action]) {
      if (verb === "scan" && this.#claimed) continue;
      if (verb === "confirm" && this.#needed && !this.#digits) return this.#show("match");
      const answer = await this.#retry(verb, signal);
      if (verb === "look") return this.#take(answer, signal);
      if (verb === "scan") {
        this.#approved = answer.state !== "scanned";
        this.#deadline = now() + seconds(answer.expires_in) * 1000;
      }
      this.#claimed = verb !== "release";
      state = ANSWERS[verb][answer.state];
    }
    if (action === "stop") state = "stopped"; // no cause for alarm: this person had approved it
    this.#approved = ["approved", "redeemed"].includes(state);
    this.#show(/** @type {State} */ (state));
    emit(this, "qr-approve", "done", { decision: DECISIONS[state] });
    if (state === "approved") await this.#follow(signal);
  }

  /** Shows what a look found. The question stays as it is if it is still the same.
   * @param {Answer} answer @param {AbortSignal} signal */
  async #take(answer, signal) {
    let state = /** @type {State} */ (ANSWERS.look[answer.state]);
    const claimed = answer.state !== "pending", before = this.#login.login_id;
    const same = state === this.#state && claimed === this.#claimed && answer.login_id === before;
    if (state === "ask" && !same && seconds(answer.expires_in) < LEAST_S) state = "short";
    this.#login = answer, this.#claimed = claimed;
    this.#approved = !["ask", "short"].includes(state);
    this.#begunAt = now() - seconds(answer.begun_ago) * 1000;
    this.#deadline = now() + seconds(answer.expires_in) * 1000;
    if (same) this.#tick();
    else this.#show(state);
    if (state === "approved") await this.#follow(signal);
  }

  /** Looks again when the page comes back into sight: the login may be over, or the person may have
   * logged in. Shows only what has changed. */
  #refresh() {
    const failed = ["offline", "unavailable"].includes(this.#state);
    const open = ["ask", "signin", "stepup"].includes(this.#state)
      || (failed && CALLS[this.#lastAction].includes("look"));
    if (hidden(this) || !this.#card.isRendered || this.#left || !open) return;
    if (this.#state === "ask" && !this.#tick()) return;
    this.#halt();
    const { signal } = (this.#controller = new AbortController());
    this.#call("look", signal).then((answer) => {
      this.#lastAction = "look";
      return this.#take(answer, signal);
    }).catch((error) => {
      if (signal.aborted) return;
      const state = this.#stateAfter(error);
      if (!error.retryable && state !== this.#state) this.#show(state);
    });
  }

  /** Asks every few seconds how an approved login ended, until it has ended.
   * @param {AbortSignal} signal */
  async #follow(signal) {
    const since = now();
    for (let failed = 0; now() - since < OUTCOME_MAX_MS;) {
      await sleep(OUTCOME_MS + (failed && backoff(failed)), signal);
      await this.#inSight(signal);
      try {
        const answer = await this.#call("outcome", signal), state = ANSWERS.outcome[answer.state];
        if (state !== "approved") return this.#show(/** @type {State} */ (state));
        failed = 0;
      } catch (error) {
        if (signal.aborted || !(error instanceof Trouble)) throw error;
        // The record of a login that is over disappears.
        if (!error.retryable) return this.#show(error.state === "signin" ? "signin" : "over");
        failed++;
      }
      this.#card.showRetrying(failed > 0 ? "retrying" : "");
    }
    this.#show("over");
  }

  /** Returns when a person can see the element. A prerendered page is hidden, too.
   * @param {AbortSignal} signal */
  async #inSight(signal) {
    while (hidden(this) || !this.#card.isRendered) await new Promise((resolve, reject) => {
      this.#window.addEventListener("visibilitychange", resolve, { once: true, signal });
      if (!this.#card.isRendered) this.#card.onRendered(() => resolve(null), signal);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    if (signal.aborted) throw signal.reason;
  }

  /** A framework may render attributes after it has connected the element, and Turbo shows a copy
   * of a page before the page. @param {AbortSignal} signal */
  async #attributesAreThere(signal) {
    while (isPreview(this)) await sleep(100, signal);
    const token = !attribute(this, "csrf-header") || this.hasAttribute("csrf-token");
    // If they come, the page starts again.
    if (!attribute(this, "src") || !token) await sleep(LATE_MS, signal);
  }

  /** Sends one call, and retries until it is answered: in this protocol a repeated call returns
   * the same answer. @param {string} verb @param {AbortSignal} signal @returns {Promise<Answer>} */
  async #retry(verb, signal) {
    for (let failed = 1; ; failed++) {
      try {
        if (READS.includes(verb)) await this.#inSight(signal);
        if (!this.#answered) await this.#attributesAreThere(signal);
        return await this.#call(verb, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof Trouble) || !error.retryable) throw error;
        if (failed >= TRIES || error.retryAfter > PATIENCE_S) throw error;
        this.#card.showRetrying(error.code === "too_many_scans" ? "busy" : "retrying");
        await sleep(Math.max(error.retryAfter * 1000, backoff(failed)), signal);
      }
    }
  }

  /** Sends one call once. Only the login that the question shows is decided.
   * @param {string} verb a key of ANSWERS
   * @param {AbortSignal} signal @returns {Promise<Answer>} */
  async #call(verb, signal) {
    const keepalive = !READS.includes(verb); // sent even if the page closes at once
    const typed = verb === "confirm" && this.#digits ? { match_code: this.#digits } : {};
    const sent = { code: this.#code, ...typed };
    const answer = await call(this, verb, sent, signal, { ends: ENDS, keepalive });
    const same = verb === "look" || answer.login_id === this.#login.login_id;
    const expected = Object.keys(ANSWERS[verb]).includes(answer.state);
    this.#answered = true;
    if (same && expected && typeof answer.login_id === "string") return answer;
    throw new Trouble("unavailable");
  }

  // What the page shows

  /** @param {State} state */
  #show(state) {
    const before = this.#state;
    this.#state = state, this.#shownWith = this.#read(LABELS);
    writeState(this, state);
    this.#card.show(state, {
      typedCode: this.#typedCode(), context: this.#login.context,
      known: this.#login.known_browser, claimed: this.#claimed,
      retryAfter: this.#retryAfter, words: this.#words, stepUp: this.#stepUp,
      first: !this.#pressed, digits: this.#needed,
    });
    this.#startClock();
    if (before !== state) emit(this, "qr-approve", "state", { state });
  }

  #startClock() {
    clearInterval(this.#clock);
    if (!["ask", "match"].includes(this.#state)) return;
    this.#clock = setInterval(() => this.#tick(), 1000);
    this.#tick();
  }

  /** Returns to the form after a typed code that the server does not know. */
  #showMistyped() {
    const written = this.#code;
    this.#code = "";
    this.#show("typing");
    this.#card.showMistyped(written);
  }

  /** How many digits the browser shows for the person to type here; 0 for none. */
  get #needed() { return [2, 3].includes(this.#login.match_digits) ? this.#login.match_digits : 0; }

  /** Asks again after wrong digits, or says that they have ended the login.
   * @param {number} left tries */
  #showWrong(left) {
    const written = this.#digits;
    this.#digits = "";
    if (left < 1) return this.#show("mismatched");
    this.#show("match");
    this.#card.showWrong(written, left);
  }

  /** Shows the times of the question. Returns false when its time is over. */
  #tick() {
    const left = Math.ceil((this.#deadline - now()) / 1000);
    if (left > 0) this.#card.showTimes(left, Math.floor((now() - this.#begunAt) / 1000));
    else this.#halt(), this.#show("expired");
    return left > 0;
  }
}

reflect(QRApproveElement, TEXT_ATTRIBUTES, FLAGS);
const { customElements } = globalThis; // a server that renders pages has none
if (customElements && !customElements.get("qr-approve"))
  customElements.define("qr-approve", supported() ? QRApproveElement
    : outdated((element) => textsFor(element, "approve").outdated, languageIsThere));
