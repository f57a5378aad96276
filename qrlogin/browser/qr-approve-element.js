/**
 * <qr-approve src="/qrlogin/phone/" at="/qr">: the phone's page. It shows the login request and
 * sends the user's answer.
 *
 * This module knows the phone's four calls (scan, confirm, deny, release). Each of them needs a
 * press by a person: loading, previewing, prerendering the page or going back to it does nothing.
 * It does not know who the user is or what a code means: the server reads the address. In a frame
 * it explains why it does not continue. What people see is in qr-approve-card.js.
 *
 * Attributes  src             where the phone routes are mounted; same origin only
 *             at              the path of this page without a code ("/qr"), as in verification_uri
 *             account, site   the account that the browser would get, and the site's name, shown as
 *                             text; without `site`: this host
 *             home            the path of the link that each end offers
 *             typed           without a code in the address, asks for one (RFC 8628 section 3.3)
 *             csrf-header, csrf-token   a header that the application requires on every POST
 *             state           set by the element, for CSS and tests: as in docs/approve.md
 * Events      qr-approve:state   {state}     the view changed
 *             qr-approve:done    {decision}  the server accepted the answer: "approved", "denied"
 *                                            or "released"
 * Members     code            set it to what a scanner in your page read; start(); override
 *                             request() and `texts`
 * Parts       card picture icon title name hint compare code facts warning form field note actions
 *             button primary deny approve quiet link left
 * CSS         the properties of <qr-login>, and --qr-login-on-alarm
 * Children    shown without JavaScript, when no user is logged in, and where the element cannot
 *             work. slot="report": after a denial. slot="end": at every end
 *
 * In the question, declining comes first and both answers have the same weight. No button reacts
 * for half a second after a view appears or the window comes to the front (Guard), because the
 * press may have been meant for what was there before.
 */

import { Card } from "./qr-approve-card.js";
import {
  PATIENCE_S, Trouble, backoff, call, now, parsed, seconds, sleep,
} from "./qr-login-parts.js";
import { textsFor } from "./qr-login-texts.js";

/** Error codes and statuses that no retry can change, and the state that each leads to. */
const ENDS = new Map(/** @type {[unknown, string][]} */ ([
  ["unknown_login", "gone"], ["already_scanned", "taken"], ["denied", "denied"],
  ["cancelled", "cancelled"], ["already_redeemed", "used"], ["expired", "expired"],
  ["wrong_state", "moved"], ["too_many_guesses", "guesses"],
  [401, "signin"], [403, "stale"], [404, "refused"], [410, "expired"],
]));

/** The login's states that the server may return for each call, and the view that each leads to.
 * @type {Record<string, Record<string, string>>} */
const ANSWERS = {
  scan: { scanned: "ask", confirmed: "approved", redeemed: "redeemed" },
  confirm: { confirmed: "approved", redeemed: "redeemed" },
  deny: { denied: "denied" },
  release: { pending: "released" },
};
/** The call that each action sends. @type {Record<string, string>} */
const CALLS = {
  look: "scan", rescan: "scan", approve: "confirm", deny: "deny", stop: "deny", release: "release",
};
/** @type {Record<string, string>} */
const DECISIONS = {
  approved: "approved", redeemed: "approved", denied: "denied", released: "released",
};

const TRIES = 4; // failures in a row before the page shows an error
const MOST_TYPED = 12; // letters and digits: fits every code to type, and no signed code

/** Percent-encoding decoded, or the text itself if it is malformed. @param {string} text */
function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** @typedef {import("./qr-approve-card.js").State} State
 * @typedef {import("./qr-login-parts.js").Answer} Answer */

export class QRApproveElement extends HTMLElement {
  /** @type {State | ""} */ #state = "";
  /** @type {AbortController | null} */ #controller = null; // aborts the current call
  /** @type {AbortController | null} */ #listeners = null; // removes the listeners on `window`
  /** @type {ReturnType<typeof setInterval> | undefined} */ #clock;
  #card = new Card(this, (action) => this.#onAction(action), (code) => {
    this.#code = code;
    this.#send("scan");
  });
  /** @type {Answer} */ #login = Object.create(null); // the answer to the scan
  #code = ""; // scanned or typed; never in an attribute or an event
  #givenCode = ""; // a code that the application set, instead of the one in the address
  #lastCall = "scan"; // "Try again" repeats it
  #approved = false; // this page approved the login, so that stopping it may come too late
  #deadline = 0; #begunAt = 0; // instants of now()
  #retryAfter = 0; // seconds, after too many wrong codes

  /** The current state, as the attribute `state` names it. */
  get state() { return this.#state; }
  /** The texts in use: those of the catalogue in the language that `lang` names. */
  get texts() { return textsFor(this, "approve"); }
  /** A code that a scanner of the application read. Setting it starts again with this code; ""
   * returns to the code in the address. @param {string} text */
  set code(text) {
    this.#givenCode = String(text).trim();
    if (this.isConnected) this.start();
  }

  connectedCallback() {
    const { signal } = (this.#listeners = new AbortController());
    this.#card.watch(signal);
    // A page that the browser restores may show a login that is over.
    window.addEventListener("pageshow", (event) => event.persisted && this.start(), { signal });
    // A microtask later, because the module that imports this one may replace texts first.
    queueMicrotask(() => signal.aborted || this.start());
  }

  disconnectedCallback() {
    this.#halt();
    this.#listeners?.abort();
    clearInterval(this.#clock);
  }

  /** Starts again from the address (or `code`). Sends no request. */
  start() {
    this.#halt();
    this.#code = this.#givenCode || this.#address(), this.#login = Object.create(null);
    this.#approved = false, this.#lastCall = "scan", this.#state = "";
    if (window.top !== window) this.#show("framed");
    else this.#show(this.#code ? "found" : this.hasAttribute("typed") ? "typing" : "aim");
  }

  /** Every request to the server goes through here. Override it to add headers, or to replace the
   * server in a test.
   * @param {URL} url @param {RequestInit} init @returns {Promise<Response>} */
  request(url, init) { return fetch(url, init); }

  /** This page's address if it contains a code, else "". Only the server knows what it means. */
  #address() {
    const { origin, pathname, search } = location;
    const at = (this.getAttribute("at") ?? "").replace(/\/+$/, "");
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
    const from = location.origin + (this.getAttribute("at") ?? "").replace(/\/+$/, "");
    let bare = this.#code;
    if (bare.startsWith(`${from}/`)) bare = decoded(bare.slice(from.length + 1));
    else if (/^https?:\/\//.test(bare)) bare = parsed(bare)?.searchParams.get("user_code") ?? "";
    const letters = bare.replace(/[^\p{L}\p{N}]/gu, "");
    if (!letters || letters.length > MOST_TYPED) return "";
    return letters.length === 8 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : bare;
  }

  // The conversation with the server

  /** @param {string} action the key of a text, as in the card's VIEWS */
  #onAction(action) {
    if (action === "reload") return location.reload();
    this.#send(action === "again" ? this.#lastCall : CALLS[action]);
  }

  /** Sends one call, and retries until it is answered: in this protocol a repeated call returns
   * the same answer. @param {string} verb a key of ANSWERS */
  #send(verb) {
    const typing = this.#state === "typing";
    this.#halt();
    this.#lastCall = verb;
    const { signal } = (this.#controller = new AbortController());
    this.#show(verb === "scan" ? "looking" : "sending");
    this.#retry(verb, signal).then((answer) => {
      const state = ANSWERS[verb][answer.state];
      if (verb === "scan")
        this.#login = answer, this.#begunAt = now() - seconds(answer.begun_ago) * 1000;
      if (state === "ask") this.#deadline = now() + seconds(answer.expires_in) * 1000;
      this.#approved = state === "approved";
      this.#show(/** @type {State} */ (state));
      if (verb !== "scan") this.#emit("done", { decision: DECISIONS[state] });
    }).catch((error) => {
      if (signal.aborted) return;
      if (!(error instanceof Trouble)) console.error(`<${this.localName}>`, error);
      const late = verb === "deny" && this.#approved && error.code === "already_redeemed";
      this.#retryAfter = error.retryAfter ?? 0;
      if (typing && error.state === "gone") return this.#showMistyped();
      const state = error instanceof Trouble ? error.state : "unavailable";
      this.#show(late ? "late" : /** @type {State} */ (state));
    });
  }

  #halt() { this.#controller?.abort(); this.#controller = null; }

  /** @param {string} verb @param {AbortSignal} signal @returns {Promise<Answer>} */
  async #retry(verb, signal) {
    for (let failed = 1; ; failed++) {
      try {
        const keepalive = verb !== "scan"; // the answer is sent even if the page closes at once
        const options = { ends: ENDS, keepalive };
        const answer = await call(this, verb, { code: this.#code }, signal, options);
        const same = typeof answer.login_id === "string"
          && [undefined, answer.login_id].includes(this.#login.login_id);
        const expected = Object.keys(ANSWERS[verb]).includes(answer.state);
        if (expected && (verb === "scan" || same)) return answer;
        throw new Trouble("unavailable");
      } catch (error) {
        if (signal.aborted || !(error instanceof Trouble) || !error.retryable) throw error;
        if (failed >= TRIES || error.retryAfter > PATIENCE_S) throw error;
        this.#card.showRetrying();
        await sleep(Math.max(error.retryAfter * 1000, backoff(failed)), signal);
      }
    }
  }

  // What the page shows

  /** @param {State} state */
  #show(state) {
    const before = this.#state;
    this.#state = state;
    this.setAttribute("state", state);
    this.#card.show(state, {
      typedCode: this.#typedCode(), context: this.#login.context, retryAfter: this.#retryAfter,
      first: !before,
    });
    clearInterval(this.#clock);
    if (state === "ask") {
      this.#clock = setInterval(() => this.#tick(), 1000);
      this.#tick();
    }
    if (before !== state) this.#emit("state", { state });
  }

  /** Returns to the form after a typed code that the server does not know. */
  #showMistyped() {
    const written = this.#code;
    this.#code = "";
    this.#show("typing");
    this.#card.showMistyped(written);
  }

  #tick() {
    const left = Math.ceil((this.#deadline - now()) / 1000);
    if (left <= 0) return this.#show("expired");
    this.#card.showTimes(left, Math.floor((now() - this.#begunAt) / 1000));
  }

  /** @param {string} name @param {object} detail */
  #emit(name, detail) {
    const options = { bubbles: true, composed: true, detail };
    this.dispatchEvent(new CustomEvent(`qr-approve:${name}`, options));
  }
}

if (!customElements.get("qr-approve")) customElements.define("qr-approve", QRApproveElement);
