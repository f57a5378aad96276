/**
 * <qr-approve src="/qrlogin/phone/" at="/qr">: the phone's page. It shows the login request and
 * sends the user's answer.
 *
 * This module knows the phone's four calls (scan, confirm, deny, release). Each of them needs a
 * press by a person: loading, previewing, prerendering the page or going back to it does nothing.
 * It does not know who the user is or what a code means: the server reads the address. In a frame
 * it explains why it does not continue.
 *
 * Attributes  src             where the phone routes are mounted; same origin only
 *             at              the path of this page without a code ("/qr"), as in verification_uri
 *             account, site   the account that the browser would get, and the site's name, shown as
 *                             text; without `site`: this host
 *             home            the path of the link that each end offers
 *             typed           without a code in the address, asks for one (RFC 8628 section 3.3)
 *             csrf-header, csrf-token   a header that the application requires on every POST
 *             state           set by the element, for CSS and tests: a key of VIEWS
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

import {
  DRAWINGS, Guard, PATIENCE_S, TOKENS, Trouble, backoff, call, make, now, ownPath, parsed, plain,
  seconds, sheetOf, sleep, unfocused,
} from "./qr-login-parts.js";
import { languageOf, textsFor } from "./qr-login-texts.js";

/** What each state shows beside its two texts: a drawing, its tone, and its actions in order. */
const VIEWS = Object.freeze({
  framed: ["mark", "alarm"], found: ["screen", "", "look"], typing: ["", ""], aim: ["phone", ""],
  looking: ["screen", ""], ask: ["", "", "deny", "approve", "release"], sending: ["screen", ""],
  approved: ["check", "", "stop"], redeemed: ["check", ""],
  denied: ["cross", "alarm"], released: ["phone", "quiet", "rescan"],
  expired: ["clock", "quiet"], gone: ["mark", "alarm"], taken: ["person", "alarm"],
  cancelled: ["cross", "quiet"], used: ["mark", "quiet"], late: ["mark", "alarm"],
  moved: ["mark", "quiet", "rescan"], guesses: ["clock", "alarm"],
  signin: ["person", "", "again"], stale: ["clock", "quiet", "reload"],
  offline: ["mark", "alarm", "again"], unavailable: ["mark", "alarm", "again"],
  refused: ["mark", "alarm"],
});
/** All other states are ends. */
const OPEN = ["framed", "found", "typing", "aim", "looking", "ask", "sending", "signin"];
const WITH_CHILDREN = ["framed", "signin", "refused"]; // the children show again

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

/** The facts that have a label in the catalogue, in order. All other facts of the application
 * follow under their own keys. */
const FACTS = ["browser", "system", "place", "address", "client_id", "scope"];
const TRIES = 4; // failures in a row before the page shows an error
const MOST_TYPED = 12; // letters and digits: fits every code to type, and no signed code
const MOST_FACTS = 12;
const LONGEST = 160; // characters of a fact; the server allows 400 bytes for all facts

const STYLE = `
.hint:empty, .note:empty, .actions:empty, .body:empty, .left:empty { display: none !important }
.card { display: flex; flex-direction: column; gap: 1.125rem; inline-size: min(100%, 26rem);
  min-block-size: 21rem; margin-inline: auto; padding: 1.5rem clamp(.75rem, 5%, 1.5rem);
  color: var(--ink); background: var(--surface); border: 1px solid var(--line);
  border-radius: var(--radius); line-height: 1.45; overflow-wrap: anywhere }
.picture { --tone: var(--accent); display: grid; place-items: center; align-self: center;
  inline-size: 5.5rem; aspect-ratio: 1; border-radius: 50%;
  background: color-mix(in srgb, var(--tone) 10%, #0000) }
.picture.alarm { --tone: var(--alarm) } .picture.quiet { --tone: var(--muted) }
.icon { inline-size: 2.75rem; aspect-ratio: 1 }
.looking .icon, .sending .icon { animation: breathe 1.2s ease-in-out infinite alternate }
.title { font-size: 1.375rem; font-weight: 680; line-height: 1.25; text-wrap: balance }
.title:focus { outline: none } .hint, .help, .lead { color: var(--muted) }
.name { color: var(--accent) } .ask .name { font-weight: inherit }
.end { justify-content: center; text-align: center } .end .hint { text-wrap: balance }
::slotted(*) { margin-block: 0 }
.compare p:not(.code) { text-wrap: balance }
:is(.title, .end .hint, .compare p):lang(zh) { word-break: keep-all } /* breaks after a clause */
em { font-style: normal; font-weight: 650; color: var(--ink) }
.body { display: grid; gap: 1rem }
.compare { display: grid; gap: .75rem; justify-items: center; color: var(--muted) }
.code { inline-size: 100%; padding: .875rem .5rem; border-radius: calc(var(--radius) * .7);
  text-align: center;
  background: color-mix(in srgb, var(--muted) 10%, #0000); color: var(--ink);
  font: 650 1.625rem/1.2 ui-monospace, "DejaVu Sans Mono", monospace; letter-spacing: .08em;
  text-transform: uppercase }
.facts { display: grid; grid-template-columns: minmax(4.5rem, max-content) minmax(0, 1fr);
  gap: .4rem .75rem; padding: .875rem .75rem; border-radius: calc(var(--radius) * .7);
  background: color-mix(in srgb, var(--muted) 10%, #0000) }
dt { color: var(--muted); max-inline-size: 8rem } dd { font-weight: 600 } .host { display: block }
.host { font-weight: 400; color: var(--muted); font-size: .9375em }
.note { color: var(--alarm) }
.left { color: var(--muted); margin-block-start: -.625rem; text-align: center;
  font-size: .875rem; font-variant-numeric: tabular-nums }
.actions { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem }
.actions > * { grid-column: 1 / -1 }
.actions > .deny, .actions > .approve { grid-column: auto; min-block-size: 3.75rem }
.deny { color: var(--on-alarm); background: var(--alarm); border-color: var(--alarm) }
.approve { color: var(--on-accent); background: var(--accent); border-color: var(--accent) }
.button, .link { min-block-size: 2.875rem; line-height: 1.25 }
button.quiet { border-color: #0000; color: var(--accent); text-decoration: underline;
  text-underline-offset: .2em; font-weight: 400 }
.link { display: grid; place-items: center; color: var(--accent); text-underline-offset: .2em;
  text-align: center }
form { display: grid; gap: .625rem } label { font-weight: 600 } .help { font-size: .9375rem }
.sample { font-family: ui-monospace, "DejaVu Sans Mono", monospace; color: var(--ink);
  white-space: nowrap }
.field { font: 1.5rem ui-monospace, "DejaVu Sans Mono", monospace; letter-spacing: .08em;
  text-transform: uppercase; inline-size: 100%; min-block-size: 3rem; padding: .5rem .75rem;
  color: var(--ink); background: none; border: 1.5px solid var(--muted);
  border-radius: calc(var(--radius) * .6) }
.field[aria-invalid] { border-color: var(--alarm) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px }
@keyframes breathe { from { opacity: .4 } }
@media (forced-colors: active) {
  .icon { stroke: CanvasText } .picture, .facts, .code { border: 1px solid } }
`;
const sheet = sheetOf(TOKENS + STYLE);

/** @typedef {keyof typeof VIEWS} State @typedef {import("./qr-login-parts.js").Answer} Answer */

/** A text of the catalogue as nodes: elements replace {words}, and *words* are emphasized.
 * @param {string} text @param {Record<string, Element>} words @returns {(string | Element)[]} */
function fill(text, words = {}) {
  return text.split(/(\{\w+\}|\*[^*]+\*)/).filter(Boolean).map((piece) => {
    if (piece.startsWith("*")) return make("em", "", {}, piece.slice(1, -1));
    return (piece.startsWith("{") && words[piece.slice(1, -1)]) || piece;
  });
}

/** Untrusted text in an element that isolates its text direction.
 * @param {unknown} value @param {string} part */
function untrusted(value, part = "") {
  return make("bdi", part, {}, plain(typeof value === "number" ? String(value) : value, LONGEST));
}

export class QRApproveElement extends HTMLElement {
  /** @type {State | ""} */ #state = "";
  /** @type {AbortController | null} */ #controller = null; // aborts the current call
  /** @type {AbortController | null} */ #listeners = null; // removes the listeners on `window`
  /** @type {ReturnType<typeof setInterval> | undefined} */ #clock;
  /** @type {Record<string, HTMLElement & SVGElement>} */ #parts; // the parts of the card
  /** @type {Answer} */ #login = Object.create(null); // the answer to the scan
  #code = ""; // scanned or typed; never in an attribute or an event
  #givenCode = ""; // a code that the application set, instead of the one in the address
  #lastCall = "scan"; // "Try again" repeats it
  #approved = false; // this page approved the login, so that stopping it may come too late
  #deadline = 0; #begunAt = 0; // instants of now()
  #guard; // decides which presses count
  #retryAfter = 0; // seconds, after too many wrong codes

  constructor() {
    super();
    const icon = make("path"), picture = make("div", "picture", { "aria-hidden": "true" },
      make("svg", "icon", { viewBox: "0 0 24 24" }, icon));
    const title = make("h1", "title", { id: "title", tabindex: "-1" });
    const hint = make("p", "hint", { role: "status" }), body = make("div");
    const note = make("p", "note", { role: "status", id: "note" });
    const actions = make("div", "actions"), left = make("p", "left", { role: "timer" });
    const spoken = make("p", "", { role: "status", class: "spoken" });
    const report = make("slot", "", { name: "report" }), end = make("slot", "", { name: "end" });
    const slot = make("slot");
    const card = make("div", "card", {},
      picture, title, hint, body, note, report, actions, left, spoken, end, slot);
    body.setAttribute("class", "body");
    this.#parts = {
      icon, picture, title, hint, body, note, actions, left, spoken, report, end, slot, card,
    };
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(card);
    this.#guard = new Guard(card);
  }

  /** The current view: a key of VIEWS. */
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
    this.#guard.watch(signal);
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
    if (bare.startsWith(`${from}/`)) bare = bare.slice(from.length + 1);
    else if (/^https?:\/\//.test(bare)) bare = parsed(bare)?.searchParams.get("user_code") ?? "";
    const letters = bare.replace(/[^\p{L}\p{N}]/gu, "");
    if (!letters || letters.length > MOST_TYPED) return "";
    return letters.length === 8 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : bare;
  }

  // The conversation with the server

  /** @param {string} action the key of a text, as in VIEWS */
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
        this.#parts.note.textContent = this.texts.retrying;
        await sleep(Math.max(error.retryAfter * 1000, backoff(failed)), signal);
      }
    }
  }

  // The screen

  /** @param {State} state */
  #show(state) {
    const { texts } = this, parts = this.#parts, before = this.#state;
    const [drawing, tone, ...actions] = VIEWS[state];
    const inside = this.matches(":focus-within"), end = !OPEN.includes(state);
    this.#state = state;
    this.setAttribute("state", state);
    parts.card.setAttribute("lang", languageOf(this));
    parts.card.setAttribute("class", `card ${state} ${drawing ? "end" : ""}`);
    parts.card.setAttribute("aria-busy", String(["looking", "sending"].includes(state)));
    parts.picture.setAttribute("class", `picture ${tone}`);
    parts.picture.toggleAttribute("hidden", !drawing);
    parts.icon.setAttribute("d", DRAWINGS[drawing]);

    const account = this.getAttribute("account"), site = this.getAttribute("site") || location.host;
    const words = {
      account: untrusted(account, "name"), site: make("b", "", {}, untrusted(site)),
      sample: make("span", "", { class: "sample" }, "WDJB-MJHT"),
    };
    const ask = `ask${this.#typedCode() ? "Device" : ""}${account ? "" : "Nameless"}`;
    const minutes = Math.ceil(this.#retryAfter / 60);
    const hint = state !== "guesses" ? `${state}Text`
      : minutes > 1 ? "guessesMinutes" : "guessesMinute";
    parts.title.replaceChildren(...fill(texts[state === "ask" ? ask : state], words));
    parts.hint.replaceChildren(
      ...fill((texts[hint] ?? "").replace("{n}", String(minutes)), words));
    parts.note.textContent = "";
    parts.body.replaceChildren(...(state === "ask" ? this.#question()
      : state === "found" ? this.#comparison() : state === "typing" ? [this.#form()] : []));
    const links = [], home = ownPath(this.getAttribute("home"));
    const alone = ownPath(this.getAttribute("at")); // the address without the code
    if (end && home) links.push(this.#link("home", home));
    if (state === "framed" && alone)
      links.push(this.#link("alone", alone, { target: "_blank", rel: "noopener" }));
    parts.actions.replaceChildren(...actions.map((action) => this.#button(action)), ...links);
    parts.slot.toggleAttribute("hidden", !WITH_CHILDREN.includes(state));
    parts.report.toggleAttribute("hidden", !["denied", "late"].includes(state));
    parts.end.toggleAttribute("hidden", !end);

    clearInterval(this.#clock);
    if (state === "ask") this.#clock = setInterval(() => this.#tick(), 1000);
    parts.left.textContent = parts.spoken.textContent = "";
    if (state === "ask") this.#tick();
    this.#guard.hold();
    if (inside || unfocused()) parts.title.focus({ preventScroll: !before });
    if (before !== state) this.#emit("state", { state });
  }

  /** Asks the user to compare a typed code that came in a link with the code on the other screen.
   * This comes before the scan. */
  #comparison() {
    const code = this.#typedCode(), { texts } = this, at = ownPath(this.getAttribute("at"));
    if (!code) return [];
    const other = at && this.hasAttribute("typed") ? [this.#link("otherCode", at)] : [];
    return [make("div", "compare", {}, make("p", "", {}, ...fill(texts.compare)),
      make("p", "code", {}, untrusted(code)), make("p", "", {}, ...fill(texts.compareHint)),
      ...other)];
  }

  #question() {
    const { texts } = this, { host } = location, code = this.#typedCode();
    const context = Object.assign(Object.create(null), this.#login.context);
    const site = this.getAttribute("site"), account = this.getAttribute("account");
    const hostLine = make("span", "", { class: "host" }, host);
    /** @type {[string | Element, ...(string | Element)[]][]} */
    const facts = [
      [texts.factSite, ...(site && site !== host ? [untrusted(site), hostLine] : [host])],
    ];
    if (account) facts.push([texts.factAccount, untrusted(account)]);
    const present = (/** @type {string} */ key) =>
      ["string", "number"].includes(typeof context[key]) && String(context[key]).trim();
    if (!present("browser")) facts.push([texts.fact_browser, texts.unknownBrowser]);
    const others = Object.keys(context).filter((key) => !FACTS.includes(key));
    for (const key of [...FACTS, ...others].filter(present).slice(0, MOST_FACTS)) {
      const label = FACTS.includes(key) ? texts[`fact_${key}`] : untrusted(key);
      facts.push([label, untrusted(context[key])]);
    }
    facts.push([texts.factBegun, make("span", "", { id: "ago" })]);
    return [
      ...(code ? [make("p", "code", {}, untrusted(code))] : []),
      make("dl", "facts", {}, ...facts.flatMap(([label, ...value]) =>
        [make("dt", "", {}, label), make("dd", "", {}, ...value)])),
      make("p", "warning", {}, ...fill(code ? texts.warningTyped : texts.warning)),
    ];
  }

  #form() {
    const { texts } = this, label = make("label", "", { for: "field" }, texts.codeLabel);
    const field = /** @type {HTMLInputElement & SVGElement} */ (make("input", "field", {
      id: "field", maxlength: "512", required: "", autocomplete: "off", spellcheck: "false",
      autocapitalize: "characters", enterkeyhint: "go", "aria-describedby": "help note" }));
    const help = make("p", "", { class: "help", id: "help" }, texts.codeHelp);
    // Enter in the field presses this button, too.
    const next = this.#guard.on(make("button", "button primary", {}, texts.lookUp), () => {
      if (field.reportValidity() && (this.#code = field.value.trim())) this.#send("scan");
    });
    const form = make("form", "form", {}, label, field, help, next);
    // Only a script can submit the form: a press goes through the button.
    form.addEventListener("submit", (event) => event.preventDefault());
    return form;
  }

  /** Returns to the form after a typed code that the server does not know. */
  #showMistyped() {
    const written = this.#code;
    this.#code = "";
    this.#show("typing");
    const input = /** @type {unknown} */ (this.#parts.body.querySelector("input"));
    const field = /** @type {HTMLInputElement} */ (input);
    field.value = written;
    field.setAttribute("aria-invalid", "true");
    this.#parts.note.textContent = this.texts.mistyped;
    field.focus();
    field.select();
  }

  /** @param {string} action */
  #button(action) {
    const looks = { deny: "button deny", approve: "button approve", release: "button quiet",
      stop: "button quiet" };
    const look = Reflect.get(looks, action) ?? "button primary";
    const button = make("button", look, { type: "button" }, this.texts[action]);
    return this.#guard.on(button, () => this.#onAction(action));
  }

  /** @param {string} text @param {string} href @param {Record<string, string>} more */
  #link(text, href, more = {}) { return make("a", "link", { href, ...more }, this.texts[text]); }

  /** Updates the times, every second. The text that screen readers read aloud changes four times
   * in all. */
  #tick() {
    const { texts } = this, { left: timer, spoken, body } = this.#parts;
    const left = Math.ceil((this.#deadline - now()) / 1000);
    if (left <= 0) return this.#show("expired");
    const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    this.#setText(timer, texts.left.replace("{time}", time));
    this.#setText(spoken, left > 60 ? texts.minutes.replace("{n}", String(Math.ceil(left / 60)))
      : left > 30 ? texts.minute : texts.seconds.replace("{n}", left > 10 ? "30" : "10"));
    const ago = body.querySelector("#ago");
    if (!ago) return;
    const old = Math.floor((now() - this.#begunAt) / 1000), minutes = Math.floor(old / 60);
    this.#setText(ago, old < 10 ? texts.agoNow
      : old < 60 ? texts.agoSeconds.replace("{n}", String(old - (old % 10)))
      : minutes < 2 ? texts.agoMinute : texts.agoMinutes.replace("{n}", String(minutes)));
  }

  /** Does not touch an unchanged text, which a screen reader would read again.
   * @param {Element} element @param {string} text */
  #setText(element, text) { if (element.textContent !== text) element.textContent = text; }

  /** @param {string} name @param {object} detail */
  #emit(name, detail) {
    const options = { bubbles: true, composed: true, detail };
    this.dispatchEvent(new CustomEvent(`qr-approve:${name}`, options));
  }
}

if (!customElements.get("qr-approve")) customElements.define("qr-approve", QRApproveElement);
