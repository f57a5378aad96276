/**
 * <qr-approve src="/qrlogin/phone/" at="/qr">: the phone's page. It shows who asks to be logged in and sends the person's answer.
 *
 * Knows: four calls of the phone's door (scan, confirm, deny, release), and that every one of them needs a click of a person:
 * loading, previewing, prerendering or going back does nothing. Refuses to know: who the person is, what a code means (the
 * server reads the address as it stands), and frames: inside one it says why it does not go on.
 *
 * Attributes  src             where the phone's door is mounted; same origin only
 *             at              path of this page without a code ("/qr"), which is the verification_uri
 *             account, site   whom the browser would be logged in as, and where: shown as text. Without `site`: this host
 *             home            path to go on to when all is said
 *             typed           without a code in the address, asks for one to be typed (RFC 8628 section 3.3)
 *             csrf-header, csrf-token   a header that the application wants on every POST
 *             state           written by the element, for CSS and tests: a key of VIEWS
 * Events      qr-approve:state   {state}     the view changed
 *             qr-approve:done    {decision}  the server took the answer: "approved", "denied" or "released"
 * Members     code            set it to what a scanner of your own read; start(), and request() and `texts` to override
 * Parts       card picture icon title name hint compare code facts warning form field note actions button primary deny approve
 *             quiet link left
 * CSS         the properties of <qr-login>, and --qr-login-on-alarm
 * Children    shown when JavaScript does not run, when nobody is signed in, and where it cannot work. slot="report": in case
 *             of a denial. slot="end": at every end
 *
 * The question: declining comes first, the two answers weigh the same, and nothing can be pressed for half a second after a
 * view appears or the window comes to the front (Guard), because the press may have been meant for what lay there before.
 */

import {
  DRAWINGS, Guard, PATIENCE_S, TOKENS, Trouble, backoff, call, make, now, ownPath, parsed, plain, seconds, sheetOf, sleep,
  unfocused,
} from "./qr-login-parts.js";
import { languageOf, textsFor } from "./qr-login-texts.js";

/** What each state shows beside its two texts: a drawing, its tone, then its actions, the first of them first in every order. */
const VIEWS = Object.freeze({
  framed: ["mark", "alarm"], found: ["screen", "", "look"], typing: ["", ""], aim: ["phone", ""], looking: ["screen", ""],
  ask: ["", "", "deny", "approve", "release"], sending: ["screen", ""],
  approved: ["check", "", "stop"], redeemed: ["check", ""], denied: ["cross", "alarm"], released: ["phone", "quiet", "rescan"],
  expired: ["clock", "quiet"], gone: ["mark", "alarm"], taken: ["person", "alarm"], cancelled: ["cross", "quiet"],
  used: ["mark", "quiet"], late: ["mark", "alarm"], moved: ["mark", "quiet", "rescan"], guesses: ["clock", "alarm"],
  signin: ["person", "", "again"], stale: ["clock", "quiet", "reload"], offline: ["mark", "alarm", "again"],
  unavailable: ["mark", "alarm", "again"], refused: ["mark", "alarm"],
});
const OPEN = ["framed", "found", "typing", "aim", "looking", "ask", "sending", "signin"]; // anything else is an end
const HELPLESS = ["framed", "signin", "refused"]; // the children show again

/** Error codes of the wire, or statuses, after which another try is of no use; and the state that says so. */
const ENDS = new Map(/** @type {[unknown, string][]} */ ([["unknown_login", "gone"], ["already_scanned", "taken"],
  ["denied", "denied"], ["cancelled", "cancelled"], ["already_redeemed", "used"], ["expired", "expired"], ["wrong_state", "moved"],
  ["too_many_guesses", "guesses"], [401, "signin"], [403, "stale"], [404, "refused"], [410, "expired"]]));

/** What the server may answer to each call, and where that leads. @type {Record<string, Record<string, string>>} */
const ANSWERS = {
  scan: { scanned: "ask", confirmed: "approved", redeemed: "redeemed" }, confirm: { confirmed: "approved", redeemed: "redeemed" },
  deny: { denied: "denied" }, release: { pending: "released" },
};
/** @type {Record<string, string>} */
const CALLS = { look: "scan", rescan: "scan", approve: "confirm", deny: "deny", stop: "deny", release: "release" };
/** @type {Record<string, string>} */
const DECISIONS = { approved: "approved", redeemed: "approved", denied: "denied", released: "released" };

/** Facts with a label in the catalogue, in this order; what else the application says of a login follows under its own key. */
const FACTS = ["browser", "system", "place", "address", "client_id", "scope"];
const TRIES = 4; // failures in a row before the person is asked
const MOST_TYPED = 12; // letters and digits: all that could be a code to type, and nothing that is signed
const MOST_FACTS = 12, LONGEST = 160; // characters of a fact; the server allows 400 bytes for all of them

const STYLE = `
.hint:empty, .note:empty, .actions:empty, .body:empty, .left:empty { display: none !important }
.card { display: flex; flex-direction: column; gap: 1.125rem; inline-size: min(100%, 26rem); min-block-size: 21rem;
  margin-inline: auto;
  padding: 1.5rem clamp(.75rem, 5%, 1.5rem); color: var(--ink); background: var(--surface); border: 1px solid var(--line);
  border-radius: var(--radius); line-height: 1.45; overflow-wrap: anywhere }
.picture { --tone: var(--accent); display: grid; place-items: center; align-self: center; inline-size: 5.5rem; aspect-ratio: 1;
  border-radius: 50%; background: color-mix(in srgb, var(--tone) 10%, #0000) }
.picture.alarm { --tone: var(--alarm) } .picture.quiet { --tone: var(--muted) }
.icon { inline-size: 2.75rem; aspect-ratio: 1 }
.looking .icon, .sending .icon { animation: breathe 1.2s ease-in-out infinite alternate }
.title { font-size: 1.375rem; font-weight: 680; line-height: 1.25; text-wrap: balance } .title:focus { outline: none }
.hint, .help, .lead { color: var(--muted) } .name { color: var(--accent) } .ask .name { font-weight: inherit }
.end { justify-content: center; text-align: center } .end .hint { text-wrap: balance } ::slotted(*) { margin-block: 0 }
.compare p:not(.code) { text-wrap: balance }
:is(.title, .end .hint, .compare p):lang(zh) { word-break: keep-all } /* a line ends after a clause, not within a word */
em { font-style: normal; font-weight: 650; color: var(--ink) }
.body { display: grid; gap: 1rem }
.compare { display: grid; gap: .75rem; justify-items: center; color: var(--muted) }
.code { inline-size: 100%; padding: .875rem .5rem; border-radius: calc(var(--radius) * .7); text-align: center;
  background: color-mix(in srgb, var(--muted) 10%, #0000); color: var(--ink);
  font: 650 1.625rem/1.2 ui-monospace, "DejaVu Sans Mono", monospace; letter-spacing: .08em; text-transform: uppercase }
.facts { display: grid; grid-template-columns: minmax(4.5rem, max-content) minmax(0, 1fr); gap: .4rem .75rem; padding: .875rem .75rem;
  border-radius: calc(var(--radius) * .7); background: color-mix(in srgb, var(--muted) 10%, #0000) }
dt { color: var(--muted); max-inline-size: 8rem } dd { font-weight: 600 } .host { display: block }
.host { font-weight: 400; color: var(--muted); font-size: .9375em }
.note { color: var(--alarm) } .left { color: var(--muted); margin-block-start: -.625rem; text-align: center;
  font-size: .875rem; font-variant-numeric: tabular-nums }
.actions { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem }
.actions > * { grid-column: 1 / -1 } .actions > .deny, .actions > .approve { grid-column: auto; min-block-size: 3.75rem }
.deny { color: var(--on-alarm); background: var(--alarm); border-color: var(--alarm) }
.approve { color: var(--on-accent); background: var(--accent); border-color: var(--accent) }
.button, .link { min-block-size: 2.875rem; line-height: 1.25 }
button.quiet { border-color: #0000; color: var(--accent); text-decoration: underline; text-underline-offset: .2em; font-weight: 400 }
.link { display: grid; place-items: center; color: var(--accent); text-underline-offset: .2em; text-align: center }
form { display: grid; gap: .625rem } label { font-weight: 600 } .help { font-size: .9375rem }
.sample { font-family: ui-monospace, "DejaVu Sans Mono", monospace; color: var(--ink); white-space: nowrap }
.field { font: 1.5rem ui-monospace, "DejaVu Sans Mono", monospace; letter-spacing: .08em; text-transform: uppercase; inline-size: 100%;
  min-block-size: 3rem; padding: .5rem .75rem; color: var(--ink); background: none; border: 1.5px solid var(--muted);
  border-radius: calc(var(--radius) * .6) }
.field[aria-invalid] { border-color: var(--alarm) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px }
@keyframes breathe { from { opacity: .4 } }
@media (forced-colors: active) { .icon { stroke: CanvasText } .picture, .facts, .code { border: 1px solid } }
`;
const sheet = sheetOf(TOKENS + STYLE);

/** @typedef {keyof typeof VIEWS} State @typedef {import("./qr-login-parts.js").Answer} Answer */

/** A text of the catalogue as nodes: {words} are replaced by elements, *words* are stressed.
 * @param {string} text @param {Record<string, Element>} words @returns {(string | Element)[]} */
function fill(text, words = {}) {
  return text.split(/(\{\w+\}|\*[^*]+\*)/).filter(Boolean).map((piece) => {
    if (piece.startsWith("*")) return make("em", "", {}, piece.slice(1, -1));
    return (piece.startsWith("{") && words[piece.slice(1, -1)]) || piece;
  });
}

/** Foreign text, which cannot turn the text around it. @param {unknown} value @param {string} part */
function foreign(value, part = "") {
  return make("bdi", part, {}, plain(typeof value === "number" ? String(value) : value, LONGEST));
}

export class QRApproveElement extends HTMLElement {
  /** @type {State | ""} */ #state = "";
  /** @type {AbortController | null} */ #run = null; // the one call under way
  /** @type {AbortController | null} */ #ears = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #clock;
  /** @type {Record<string, HTMLElement & SVGElement>} */ #at; // the parts of the card
  /** @type {Answer} */ #asked = Object.create(null); // what the scan said of the login
  #code = ""; // what the camera read or a person typed; in no attribute, in no event
  #given = ""; // the same, set by the application instead of taken from the address
  #last = "scan"; // the call whose answer did not come
  #approved = false; // by this page: whoever stops now may be too late
  #deadline = 0; #began = 0; // instants of now()
  #guard; // whose press counts
  #wait = 0; // seconds, after too many guesses

  constructor() {
    super();
    const icon = make("path"), picture = make("div", "picture", { "aria-hidden": "true" },
      make("svg", "icon", { viewBox: "0 0 24 24" }, icon));
    const title = make("h1", "title", { id: "title", tabindex: "-1" }), hint = make("p", "hint", { role: "status" });
    const body = make("div"), note = make("p", "note", { role: "status", id: "note" }), actions = make("div", "actions");
    const left = make("p", "left", { role: "timer" }), spoken = make("p", "", { role: "status", class: "spoken" });
    const report = make("slot", "", { name: "report" }), end = make("slot", "", { name: "end" }), slot = make("slot");
    const card = make("div", "card", {}, picture, title, hint, body, note, report, actions, left, spoken, end, slot);
    body.setAttribute("class", "body");
    this.#at = { icon, picture, title, hint, body, note, actions, left, spoken, report, end, slot, card };
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(card);
    this.#guard = new Guard(card);
  }

  /** What is on the screen: a key of VIEWS. */
  get state() { return this.#state; }
  /** The strings in use: those of the catalogue in the language that `lang` says. */
  get texts() { return textsFor(this, "approve"); }
  /** What a scanner of the application's own read. Setting it shows it; "" goes back to what the address says.
   * @param {string} text */
  set code(text) {
    this.#given = String(text).trim();
    if (this.isConnected) this.start();
  }

  connectedCallback() {
    const { signal } = (this.#ears = new AbortController());
    this.#guard.watch(signal);
    window.addEventListener("pageshow", (event) => event.persisted && this.start(), { signal }); // what it once showed may be over
    queueMicrotask(() => signal.aborted || this.start()); // the module that imports this one may replace texts first
  }

  disconnectedCallback() {
    this.#halt();
    this.#ears?.abort();
    clearInterval(this.#clock);
  }

  /** Begins afresh from the address (or `code`). Asks the server nothing. */
  start() {
    this.#halt();
    this.#code = this.#given || this.#address(), this.#asked = Object.create(null), this.#approved = false, this.#last = "scan", this.#state = "";
    if (window.top !== window) this.#show("framed");
    else this.#show(this.#code ? "found" : this.hasAttribute("typed") ? "typing" : "aim");
  }

  /** The one place that talks to the server. Override it to add headers, or to play the server in a test.
   * @param {URL} url @param {RequestInit} init @returns {Promise<Response>} */
  request(url, init) { return fetch(url, init); }

  /** This page's address, if it carries a code: the server alone reads what it means. */
  #address() {
    const { origin, pathname, search } = location, at = (this.getAttribute("at") ?? "").replace(/\/+$/, "");
    if (at && pathname.startsWith(`${at}/`) && pathname.length > at.length + 1)
      return origin + pathname.replace(/\/$/, ""); // the query is not of the code, nor is a slash that a server appended
    return at && pathname.replace(/\/+$/, "") === at && !new URLSearchParams(search).get("user_code") ? "" : origin + pathname + search;
  }

  /** The code if a person could have typed it, in halves as the other screen shows it; else "". RFC 8628 section 3.3.1. */
  #typed() {
    const from = location.origin + (this.getAttribute("at") ?? "").replace(/\/+$/, "");
    let bare = this.#code;
    if (bare.startsWith(`${from}/`)) bare = bare.slice(from.length + 1);
    else if (/^https?:\/\//.test(bare)) bare = parsed(bare)?.searchParams.get("user_code") ?? "";
    const letters = bare.replace(/[^\p{L}\p{N}]/gu, "");
    return !letters || letters.length > MOST_TYPED ? "" : letters.length === 8 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : bare;
  }

  // The conversation

  /** @param {string} action a text's key, of those in VIEWS */
  #act(action) {
    if (action === "reload") return location.reload();
    this.#send(action === "again" ? this.#last : CALLS[action]);
  }

  /** One call, repeated until it is answered: the protocol makes repeats success. @param {string} verb a key of ANSWERS */
  #send(verb) {
    const typing = this.#state === "typing";
    this.#halt();
    this.#last = verb;
    const { signal } = (this.#run = new AbortController());
    this.#show(verb === "scan" ? "looking" : "sending");
    this.#persist(verb, signal).then((answer) => {
      const state = ANSWERS[verb][answer.state];
      if (verb === "scan") this.#asked = answer, this.#began = now() - seconds(answer.begun_ago) * 1000;
      this.#deadline = state === "ask" ? now() + seconds(answer.expires_in) * 1000 : this.#deadline;
      this.#approved = state === "approved";
      this.#show(/** @type {State} */ (state));
      if (verb !== "scan") this.#tell("done", { decision: DECISIONS[state] });
    }).catch((error) => {
      if (signal.aborted) return;
      if (!(error instanceof Trouble)) console.error(`<${this.localName}>`, error);
      const late = verb === "deny" && this.#approved && error.code === "already_redeemed";
      this.#wait = error.after ?? 0;
      if (typing && error.state === "gone") return this.#mistyped();
      this.#show(late ? "late" : error instanceof Trouble ? /** @type {State} */ (error.state) : "unavailable");
    });
  }

  #halt() { this.#run?.abort(); this.#run = null; }

  /** @param {string} verb @param {AbortSignal} signal @returns {Promise<Answer>} */
  async #persist(verb, signal) {
    for (let failed = 1; ; failed++) {
      try {
        const keepalive = verb !== "scan"; // an answer is sent also when the page is closed at once
        const answer = await call(this, verb, { code: this.#code }, signal, { ends: ENDS, keepalive });
        const same = typeof answer.login_id === "string" && [undefined, answer.login_id].includes(this.#asked.login_id);
        const good = Object.keys(ANSWERS[verb]).includes(answer.state);
        if (good && (verb === "scan" || same)) return answer;
        throw new Trouble("unavailable");
      } catch (error) {
        if (signal.aborted || !(error instanceof Trouble) || !error.passing) throw error;
        if (failed >= TRIES || error.after > PATIENCE_S) throw error;
        this.#at.note.textContent = this.texts.retrying;
        await sleep(Math.max(error.after * 1000, backoff(failed)), signal);
      }
    }
  }

  // The screen

  /** @param {State} state */
  #show(state) {
    const { texts } = this, at = this.#at, [drawing, tone, ...actions] = VIEWS[state], before = this.#state;
    const inside = this.matches(":focus-within"), end = !OPEN.includes(state);
    this.#state = state;
    this.setAttribute("state", state);
    at.card.setAttribute("lang", languageOf(this));
    at.card.setAttribute("class", `card ${state} ${drawing ? "end" : ""}`);
    at.card.setAttribute("aria-busy", String(["looking", "sending"].includes(state)));
    at.picture.setAttribute("class", `picture ${tone}`);
    at.picture.toggleAttribute("hidden", !drawing);
    at.icon.setAttribute("d", DRAWINGS[drawing]);

    const account = this.getAttribute("account"), site = this.getAttribute("site") || location.host;
    const words = { account: foreign(account, "name"), site: make("b", "", {}, foreign(site)),
      sample: make("span", "", { class: "sample" }, "WDJB-MJHT") };
    const title = state !== "ask" ? state : `ask${this.#typed() ? "Device" : ""}${account ? "" : "Nameless"}`;
    const minutes = Math.ceil(this.#wait / 60);
    const hint = state !== "guesses" ? `${state}Text` : minutes > 1 ? "guessesMinutes" : "guessesMinute";
    at.title.replaceChildren(...fill(texts[title], words));
    at.hint.replaceChildren(...fill((texts[hint] ?? "").replace("{n}", String(minutes)), words));
    at.note.textContent = "";
    at.body.replaceChildren(...(state === "ask" ? this.#question() : state === "found" ? this.#comparison()
      : state === "typing" ? [this.#form()] : []));
    const home = ownPath(this.getAttribute("home")), alone = state === "framed" && ownPath(this.getAttribute("at")); // without the code
    at.actions.replaceChildren(...actions.map((action) => this.#button(action)), ...(end && home ? [this.#link("home", home)] : []),
      ...(alone ? [this.#link("alone", alone, { target: "_blank", rel: "noopener" })] : []));
    at.slot.toggleAttribute("hidden", !HELPLESS.includes(state));
    at.report.toggleAttribute("hidden", !["denied", "late"].includes(state));
    at.end.toggleAttribute("hidden", !end);

    clearInterval(this.#clock);
    if (state === "ask") this.#clock = setInterval(() => this.#tick(), 1000);
    at.left.textContent = at.spoken.textContent = "";
    if (state === "ask") this.#tick();
    this.#guard.hold();
    if (inside || unfocused()) at.title.focus({ preventScroll: !before });
    if (before !== state) this.#tell("state", { state });
  }

  /** A code that came by a link is compared with the other screen before anything is asked. */
  #comparison() {
    const code = this.#typed(), { texts } = this, at = ownPath(this.getAttribute("at"));
    if (!code) return [];
    return [make("div", "compare", {}, make("p", "", {}, ...fill(texts.compare)), make("p", "code", {}, foreign(code)),
      make("p", "", {}, ...fill(texts.compareHint)), ...(at && this.hasAttribute("typed") ? [this.#link("otherCode", at)] : []))];
  }

  #question() {
    const { texts } = this, code = this.#typed(), context = Object.assign(Object.create(null), this.#asked.context), host = location.host;
    const site = this.getAttribute("site"), account = this.getAttribute("account");
    /** @type {[string | Element, ...(string | Element)[]][]} */
    const facts = [[texts.factSite, ...(site && site !== host ? [foreign(site), make("span", "", { class: "host" }, host)] : [host])]];
    if (account) facts.push([texts.factAccount, foreign(account)]);
    const shown = (/** @type {string} */ key) => ["string", "number"].includes(typeof context[key]) && String(context[key]).trim();
    if (!shown("browser")) facts.push([texts.fact_browser, texts.unknownBrowser]);
    const own = Object.keys(context).filter((key) => !FACTS.includes(key));
    for (const key of [...FACTS, ...own].filter(shown).slice(0, MOST_FACTS))
      facts.push([FACTS.includes(key) ? texts[`fact_${key}`] : foreign(key), foreign(context[key])]);
    facts.push([texts.factBegun, make("span", "", { id: "ago" })]);
    return [
      ...(code ? [make("p", "code", {}, foreign(code))] : []),
      make("dl", "facts", {}, ...facts.flatMap(([label, ...value]) => [make("dt", "", {}, label), make("dd", "", {}, ...value)])),
      make("p", "warning", {}, ...fill(code ? texts.warningTyped : texts.warning)),
    ];
  }

  #form() {
    const { texts } = this, label = make("label", "", { for: "field" }, texts.codeLabel);
    const field = /** @type {HTMLInputElement & SVGElement} */ (make("input", "field", {
      id: "field", maxlength: "512", required: "", autocomplete: "off", autocapitalize: "characters", spellcheck: "false",
      enterkeyhint: "go", "aria-describedby": "help note" }));
    const help = make("p", "", { class: "help", id: "help" }, texts.codeHelp);
    const go = this.#guard.on(make("button", "button primary", {}, texts.lookUp), () => { // also clicked by Enter in the field
      if (field.reportValidity() && (this.#code = field.value.trim())) this.#send("scan");
    });
    const form = make("form", "form", {}, label, field, help, go);
    form.addEventListener("submit", (event) => event.preventDefault()); // by a script; persons come by the button
    return form;
  }

  #mistyped() {
    const written = this.#code;
    this.#code = "";
    this.#show("typing");
    const field = /** @type {HTMLInputElement} */ (/** @type {unknown} */ (this.#at.body.querySelector("input")));
    field.value = written;
    field.setAttribute("aria-invalid", "true");
    this.#at.note.textContent = this.texts.mistyped;
    field.focus();
    field.select();
  }

  /** @param {string} action */
  #button(action) {
    const look = { deny: "button deny", approve: "button approve", release: "button quiet", stop: "button quiet" };
    const button = make("button", Reflect.get(look, action) ?? "button primary", { type: "button" }, this.texts[action]);
    return this.#guard.on(button, () => this.#act(action));
  }

  /** @param {string} text @param {string} href @param {Record<string, string>} more */
  #link(text, href, more = {}) { return make("a", "link", { href, ...more }, this.texts[text]); }

  /** Every second. What is read aloud changes four times in all. */
  #tick() {
    const { texts } = this, left = Math.ceil((this.#deadline - now()) / 1000), old = Math.floor((now() - this.#began) / 1000);
    if (left <= 0) return this.#show("expired");
    const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`, minutes = Math.floor(old / 60);
    this.#say(this.#at.left, texts.left.replace("{time}", time));
    this.#say(this.#at.spoken, left > 60 ? texts.minutes.replace("{n}", String(Math.ceil(left / 60))) : left > 30 ? texts.minute
      : texts.seconds.replace("{n}", left > 10 ? "30" : "10"));
    const ago = this.#at.body.querySelector("#ago");
    if (ago) this.#say(ago, old < 10 ? texts.agoNow : old < 60 ? texts.agoSeconds.replace("{n}", String(old - (old % 10)))
      : minutes < 2 ? texts.agoMinute : texts.agoMinutes.replace("{n}", String(minutes)));
  }

  /** @param {Element} element @param {string} text */
  #say(element, text) { if (element.textContent !== text) element.textContent = text; }

  /** @param {string} what @param {object} detail */
  #tell(what, detail) { this.dispatchEvent(new CustomEvent(`qr-approve:${what}`, { bubbles: true, composed: true, detail })); }
}

if (!customElements.get("qr-approve")) customElements.define("qr-approve", QRApproveElement);
