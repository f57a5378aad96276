/**
 * What <qr-approve> shows: the title, the question with its facts, the form for a code, the buttons
 * and the countdown.
 *
 * This module knows how each state looks, and which presses count (Guard). It sends no request and
 * keeps no login: the element passes in what to show, and is called back when a person presses a
 * button or enters a code. All that comes from the server, the address or an attribute is shown as
 * text.
 */

import {
  DRAWINGS, Guard, TOKENS, attribute, dress, make, ownPath, parsed, plain, unfocused, viewOf,
} from "./qr-login-parts.js";
import { ago, counted, expiry, markLanguage } from "./qr-login-texts.js";

/** What each state shows beside its two texts: a drawing, its tone, and its actions in order. */
const VIEWS = Object.freeze({
  framed: ["mark", "alarm"], found: ["screen", "", "look"], typing: ["", ""], aim: ["phone", ""],
  looking: ["screen", ""], ask: ["", "", "deny", "approve", "release"], sending: ["screen", ""],
  match: ["", "", "deny"], mismatched: ["cross", "alarm"],
  approved: ["check", "", "stop"], redeemed: ["check", ""], uncollected: ["clock", "quiet"],
  over: ["check", "quiet"],
  denied: ["cross", "alarm"], stopped: ["cross", "quiet"], released: ["phone", "quiet", "rescan"],
  expired: ["clock", "quiet"], gone: ["mark", "alarm"], taken: ["person", "alarm"],
  cancelled: ["cross", "quiet"], used: ["mark", "quiet"], late: ["mark", "alarm"],
  moved: ["mark", "quiet", "rescan"], short: ["clock", "quiet"], guesses: ["clock", "alarm"],
  signin: ["person", "", "again"], stale: ["clock", "quiet", "reload"],
  offline: ["mark", "alarm", "again"], unavailable: ["mark", "alarm", "again"],
  refused: ["mark", "alarm"], blocked: ["mark", "alarm", "rescan", "release"],
  stepup: ["person", "", "rescan", "release"],
});
/** All other states are ends. */
const OPEN = ["framed", "found", "typing", "aim", "looking", "ask", "match", "sending",
  "signin", "stepup"];
const WITH_CHILDREN = ["framed", "signin", "refused"]; // the children show again

/** The facts of one login that are no facts: what its browser says about itself, shown as a claim. */
const CLAIMS = ["browser", "system"];
/** For the application. `permissions` has the words for it. */
const NOT_SHOWN = ["scope"];
/** The facts that have a label in the catalogue, in order. All other facts of the application
 * follow under their own keys. */
const FACTS = ["client", "permissions", "place", "address"];
const MOST_FACTS = 11; // beside the claim
const LONGEST = 160; // characters of a fact; the server allows 800 bytes for all facts
const LONGEST_LIST = 500; // characters of the permissions, of which none may be hidden
const LONGEST_IN_TITLE = 40; // characters of a fact
const LONGEST_WORDS = 600; // characters; the server allows 600 bytes

const STYLE = `${TOKENS}
:is(.title, .hint, .note, .actions, .body, .left):empty { display: none !important }
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
:is(.title, .end .hint, .compare p, button):lang(ja) { word-break: auto-phrase }
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
.claim { font-weight: 400 } .claim b { font-weight: 600 }
.host { font-weight: 400; color: var(--muted); font-size: .9375em }
.note { color: var(--alarm) }
.known { display: flex; align-items: center; gap: .625rem; --tone: var(--accent) }
.known .icon { flex: none; inline-size: 1.5rem }
.never .icon { --tone: var(--on-alarm); inline-size: 2rem; padding: .25rem; border-radius: 50%;
  background: var(--alarm); stroke-width: 2.5 }
.never { --tone: var(--alarm); padding: .75rem;
  border: 1.5px solid var(--alarm); border-radius: calc(var(--radius) * .7);
  background: color-mix(in srgb, var(--alarm) 8%, #0000) }
.words { padding: .875rem .75rem; border-radius: calc(var(--radius) * .7); text-align: start;
  background: color-mix(in srgb, var(--muted) 10%, #0000) }
.left { color: var(--muted); margin-block-start: -.625rem; text-align: center;
  font-size: .875rem; font-variant-numeric: tabular-nums }
.actions { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem }
.answers { display: contents }
.actions > * { grid-column: 1 / -1 }
.actions > .deny, .actions > .approve { grid-column: auto; min-block-size: 3.75rem;
  padding-inline: .25rem }
.deny { color: var(--on-alarm); background: var(--alarm); border-color: var(--alarm) }
.approve { color: var(--on-accent); background: var(--accent); border-color: var(--accent) }
.button, .link { min-block-size: 2.875rem; line-height: 1.25 }
button.quiet { border-color: #0000; color: var(--accent); text-decoration: underline;
  text-underline-offset: .2em; font-weight: 400 }
.link { display: grid; place-items: center; color: var(--accent); text-underline-offset: .2em;
  text-align: center }
.link.primary { color: var(--on-accent); background: var(--accent); text-decoration: none;
  border-radius: calc(var(--radius) * .6); padding: .5rem 1rem; font-weight: 600 }
form { display: grid; gap: .625rem } label { font-weight: 600 } .help { font-size: .9375rem }
.sample { font-family: ui-monospace, "DejaVu Sans Mono", monospace; color: var(--ink);
  white-space: nowrap }
.field { font: 1.5rem ui-monospace, "DejaVu Sans Mono", monospace; letter-spacing: .08em;
  text-transform: uppercase; inline-size: 100%; min-block-size: 3rem; padding: .5rem .75rem;
  color: var(--ink); background: none; border: 1.5px solid var(--muted);
  border-radius: calc(var(--radius) * .6) }
.match .note { order: -1 } .match :is(.title, .hint) { order: -2 } /* a complaint is in sight */
.match .field { font-size: 2rem; letter-spacing: .3em; text-align: center }
.match .deny { grid-column: 1 / -1 } .match .deny, .match .primary { min-block-size: 3.25rem }
.field[aria-invalid] { border-color: var(--alarm) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px }
@keyframes breathe { from { opacity: .4 } }
@media (max-height: 52rem) { .ask .facts { order: 1 } } /* the answers may cover facts only */
@media (max-height: 42rem) { :is(.ask, .match) { gap: .75rem; padding-block: 1rem }
  :is(.ask, .match) .title { font-size: 1.25rem } .ask .body { gap: .75rem }
  .match :is(.note, .help) { font-size: .875rem; line-height: 1.35 }
  .ask .warning { font-size: .9375rem; line-height: 1.35 }
  .ask .never { padding-block: .5rem; line-height: 1.35 }
  .ask .facts { gap: .25rem .75rem; padding-block: .625rem }
  .actions > .deny, .actions > .approve { min-block-size: 3.25rem } }
@media (min-height: 26rem) { .ask .answers { display: grid; gap: .875rem; position: sticky;
  inset-block-end: 0; margin-block-end: -.75rem; padding-block: .5rem .75rem;
  background: var(--surface) } }
@media (forced-colors: active) {
  .icon { stroke: CanvasText } .picture, .facts, .code { border: 1px solid } }
`;

/** @typedef {keyof typeof VIEWS} State
 * @typedef {HTMLElement & {texts: Readonly<Record<string, string>>}} Host the element
 * @typedef {object} View
 * @property {string} typedCode the code, if a person could have typed it, else ""
 * @property {unknown} context the facts of the login, as the server sent them
 * @property {unknown} known whether this account was logged in on that browser before; no boolean:
 *   the server does not say
 * @property {boolean} claimed whether this account has scanned the login, so that it can give it
 *   back
 * @property {number} retryAfter seconds until the account may try another code
 * @property {string} words what the site says about its refusal
 * @property {string} stepUp the address of the step that the site asks for
 * @property {number} digits how many the browser shows for the person to type
 * @property {boolean} first whether no one has pressed a button yet: then the page does not scroll
 */

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
function untrusted(value, part = "", longest = LONGEST) {
  return make("bdi", part, {}, plain(typeof value === "number" ? String(value) : value, longest));
}

/** The address of a step that the site asks for: a path of this origin, or https. Otherwise null.
 * @param {string} uri */
function stepAddress(uri) {
  const url = parsed(ownPath(uri) || uri);
  return url && (url.protocol === "https:" || url.origin === location.origin) ? url : null;
}

/** The heading of one view. @param {(string | Element)[]} nodes */
function heading(...nodes) {
  return make("h1", "title", { id: "title", tabindex: "-1" }, ...nodes);
}

/** The facts that the server sent, without a prototype, and whether it sent one of them.
 * @param {unknown} sent */
function factsOf(sent) {
  const facts = Object.assign(Object.create(null), sent);
  const has = (/** @type {string} */ key) =>
    ["string", "number"].includes(typeof facts[key]) && String(facts[key]).trim() !== "";
  return { facts, has };
}

export class Card {
  #host; #onAction; #onCode; #onDigits; #root;
  /** @type {Record<string, HTMLElement & SVGElement>} */ #parts;
  #guard; // decides which presses count
  /** @type {Readonly<Record<string, string>>} */ #texts = {}; // the texts of the current view
  #language = "en"; // theirs

  /** Builds the card in a shadow root of `host`. It is empty until the first `show`.
   * @param {Host} host
   * @param {(action: string) => void} onAction receives the action of a pressed button, as in
   *   VIEWS
   * @param {(code: string) => void} onCode receives a code that a person typed
   * @param {(digits: string) => void} onDigits receives the digits that a person typed */
  constructor(host, onAction, onCode, onDigits) {
    this.#host = host, this.#onAction = onAction, this.#onCode = onCode, this.#onDigits = onDigits;
    const hidden = "", icon = make("path");
    const picture = make("div", "picture", { "aria-hidden": "true", hidden },
      make("svg", "icon", { viewBox: "0 0 24 24" }, icon));
    const title = heading();
    const hint = make("p", "hint", { role: "status" }), body = make("div");
    const note = make("p", "note", { role: "status", id: "note" });
    const actions = make("div", "actions"), left = make("p", "left", { role: "timer" });
    const spoken = make("p", "", { role: "status", class: "spoken" });
    // Nothing shows before the first view: the texts of its language may be on their way.
    const report = make("slot", "", { name: "report", hidden });
    const end = make("slot", "", { name: "end", hidden }), slot = make("slot", "", { hidden });
    // On a small screen, the answers stay in sight and the facts scroll.
    const answers = make("div", "", { class: "answers" }, actions, left);
    const card = make("div", "card", {},
      picture, title, hint, body, note, report, answers, spoken, end, slot);
    body.setAttribute("class", "body");
    this.#parts = {
      icon, picture, title, hint, body, note, actions, left, spoken, report, end, slot, card,
    };
    this.#root = host.attachShadow({ mode: "open" });
    this.#root.append(card);
    this.#guard = new Guard(card);
  }

  /** Makes the buttons inert for a moment. */
  hold() { this.#guard.hold(); }

  /** Gives the card its styles, in each document into which the element is moved. */
  dress() { dress(this.#root, STYLE); }

  /** Whether the card has a place on the page. It has none under `display: none`. */
  get isRendered() { return this.#parts.card.getClientRects().length > 0; }

  /** Calls `then` when the card has got a place on the page, unless `signal` comes first.
   * @param {() => void} then @param {AbortSignal} signal */
  onRendered(then, signal) {
    const observer = new ResizeObserver(() => {
      if (!this.isRendered) return;
      observer.disconnect();
      then();
    });
    observer.observe(this.#parts.card);
    signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  }

  /** Until `signal`, also ignores presses just after the window comes to the front.
   * @param {AbortSignal} signal */
  watch(signal) { this.#guard.watch(signal); }

  /** Shows a state: its drawing, texts and buttons.
   * @param {State} state @param {View} view */
  show(state, { typedCode, context, known, claimed, retryAfter, words: said, stepUp, digits,
    first }) {
    const host = this.#host, parts = this.#parts, texts = (this.#texts = host.texts);
    const [drawing, tone, ...all] = VIEWS[state];
    const actions = all.filter((action) => action !== "release" || claimed);
    const inside = host.matches(":focus-within"), end = !OPEN.includes(state);
    this.#language = markLanguage(parts.card, host);
    parts.card.setAttribute("class", `card ${state} ${drawing ? "end" : ""}`);
    parts.card.setAttribute("aria-busy", String(["looking", "sending"].includes(state)));
    parts.picture.setAttribute("class", `picture ${tone}`);
    parts.picture.toggleAttribute("hidden", !drawing);
    parts.icon.setAttribute("d", DRAWINGS[drawing]);

    const { facts, has } = factsOf(context);
    const account = attribute(host, "account"), site = attribute(host, "site") || location.host;
    const words = {
      account: untrusted(account, "name"), site: make("b", "", {}, untrusted(site)),
      sample: make("span", "", { class: "sample" }, "WDJB-MJHT"),
      browser: untrusted(facts.browser, "", LONGEST_IN_TITLE),
      system: untrusted(facts.system, "", LONGEST_IN_TITLE),
    };
    // A computer cannot scan its own screen.
    const touch = (viewOf(host) ?? window).matchMedia("(pointer: coarse)").matches;
    const title = state === "ask" ? `ask${typedCode ? "Device" : ""}${account ? "" : "Nameless"}`
      : state === "aim" && !touch ? "computer"
      : state !== "redeemed" || !has("browser") ? state
      : has("system") ? "redeemedSystem" : "redeemedBrowser";
    const hint = title === "computer" ? texts.computerHint : state !== "guesses"
      ? texts[`${state}Text`] ?? ""
      : counted(texts, "guessesText", Math.max(1, Math.ceil(retryAfter / 60)), this.#language);
    // A screen reader speaks a heading when it takes the focus. The old one may have it already.
    const fresh = heading(...fill(texts[title], words));
    parts.title.replaceWith(fresh);
    parts.title = fresh;
    parts.hint.replaceChildren(...fill(hint, words));
    parts.note.textContent = "";
    parts.body.replaceChildren(...(state === "ask" ? this.#question(typedCode, context, known)
      : state === "found" ? this.#comparison(typedCode)
      : state === "typing" ? [this.#codeForm()]
      : state === "match" ? [this.#digitsForm(digits)]
      : state === "blocked" && said ? [make("p", "words", {},
        ...fill(texts.siteSays, { ...words, words: untrusted(said, "", LONGEST_WORDS) }))] : []));
    const links = [], step = state === "stepup" && stepAddress(stepUp);
    if (step) links.push(this.#step(step));
    const home = ownPath(attribute(host, "home"));
    const alone = ownPath(attribute(host, "at")); // the address without the code
    if ((end || state === "aim") && home) links.push(this.#link("home", home));
    if (state === "framed" && alone)
      links.push(this.#link("alone", alone, { target: "_blank", rel: "noopener" }));
    const buttons = actions.map((action) => this.#button(action, step ? "button quiet" : ""));
    parts.actions.replaceChildren(...(step ? [...links, ...buttons] : [...buttons, ...links]));
    parts.slot.toggleAttribute("hidden", !WITH_CHILDREN.includes(state));
    parts.report.toggleAttribute("hidden", !["denied", "late"].includes(state));
    parts.end.toggleAttribute("hidden", !end);

    parts.left.textContent = parts.spoken.textContent = "";
    this.#guard.hold();
    if (inside || unfocused(host)) parts.title.focus({ preventScroll: first });
  }

  /** Asks the user to compare a typed code that came in a link with the code on the other screen.
   * This comes before the scan. @param {string} code */
  #comparison(code) {
    const texts = this.#texts, host = this.#host, at = ownPath(attribute(host, "at"));
    if (!code) return [];
    const other = at && attribute(host, "typed") !== null ? [this.#link("otherCode", at)] : [];
    return [make("div", "compare", {}, make("p", "", {}, ...fill(texts.compare)),
      make("p", "code", {}, untrusted(code)), make("p", "", {}, ...fill(texts.compareHint)),
      ...other)];
  }

  /** The facts of the login, for the person to check.
   * @param {string} code @param {unknown} sent the facts, as the server sent them
   * @param {unknown} known as in View */
  #question(code, sent, known) {
    const texts = this.#texts, { host } = location;
    const { facts: context, has } = factsOf(sent);
    const site = attribute(this.#host, "site"), account = attribute(this.#host, "account");
    const hostLine = make("span", "", { class: "host" }, host);
    /** @type {[string | Element, ...(string | Element)[]][]} */
    const facts = [
      [texts.factSite, ...(site && site !== host ? [untrusted(site), hostLine] : [host])],
    ];
    if (account) facts.push([texts.factAccount, untrusted(account)]);
    const claim = !has("browser") ? texts.unknownBrowser
      : has("system") ? texts.claimSystem : texts.claim;
    facts.push([texts.fact_browser, make("span", "claim", {}, ...fill(claim, {
      browser: make("b", "", {}, untrusted(context.browser, "", LONGEST_IN_TITLE)),
      system: make("b", "", {}, untrusted(context.system, "", LONGEST_IN_TITLE)),
    }))]);
    const others = Object.keys(context)
      .filter((key) => ![...FACTS, ...CLAIMS, ...NOT_SHOWN].includes(key));
    for (const key of [...FACTS, ...others].filter(has).slice(0, MOST_FACTS)) {
      const label = FACTS.includes(key) ? texts[`fact_${key}`] : untrusted(key);
      const longest = key === "permissions" ? LONGEST_LIST : LONGEST;
      facts.push([label, untrusted(context[key], "", longest)]);
    }
    facts.push([texts.factBegun, make("span", "", { id: "ago" })]);
    return [
      ...(code ? [make("p", "code", {}, untrusted(code))] : []),
      ...(typeof known === "boolean" ? [this.#knowledge(known)] : []),
      make("dl", "facts", {}, ...facts.flatMap(([label, ...value]) =>
        [make("dt", "", {}, label), make("dd", "", {}, ...value)])),
      make("p", "warning", {}, ...fill(code ? texts.warningTyped : texts.warning)),
    ];
  }

  /** Whether this account was logged in on that browser before. @param {boolean} known */
  #knowledge(known) {
    const icon = make("svg", "icon", { viewBox: "0 0 24 24", "aria-hidden": "true" },
      make("path", "", { d: DRAWINGS[known ? "check" : "mark"] }));
    const text = make("span", "", {}, ...fill(this.#texts[known ? "known" : "neverUsed"]));
    return make("p", "known", { class: `known ${known ? "" : "never"}` }, icon, text);
  }

  #codeForm() {
    const more = { autocapitalize: "characters", enterkeyhint: "go" };
    return this.#form("code", "lookUp", more, (field) => {
      const code = field.value.trim();
      if (field.reportValidity() && code) this.#onCode(code);
    });
  }

  /** The field for the digits that the browser shows. They may be pasted, with blanks between them.
   * @param {number} most how many there are; 0 if that is not known */
  #digitsForm(most) {
    const more = { inputmode: "numeric", enterkeyhint: "done" };
    return this.#form("digits", "sendDigits", more, (field) => {
      const digits = field.value.normalize("NFKC").replace(/[^0-9]/g, "");
      if (most ? digits.length === most : [2, 3].includes(digits.length))
        return this.#onDigits(digits);
      this.#complain(field, this.#texts.digitsMissing);
    });
  }

  /** @param {string} name of its texts @param {string} button the key of the button's text
   * @param {Record<string, string>} more attributes of the field
   * @param {(field: HTMLInputElement) => void} onPress */
  #form(name, button, more, onPress) {
    const texts = this.#texts, label = make("label", "", { for: "field" }, texts[`${name}Label`]);
    const field = /** @type {HTMLInputElement & SVGElement} */ (make("input", "field", {
      id: "field", maxlength: "512", required: "", autocomplete: "off", spellcheck: "false",
      "aria-describedby": "help note", ...more }));
    const help = make("p", "", { class: "help", id: "help" }, ...fill(texts[`${name}Help`]));
    // Enter in the field presses this button, too.
    const next = this.#guard.on(make("button", "button primary", {}, texts[button]),
      () => onPress(field));
    const form = make("form", "form", {}, label, field, help, next);
    // Only a script can submit the form: a press goes through the button.
    form.addEventListener("submit", (event) => event.preventDefault());
    return form;
  }

  /** Completes the form after a typed code that the server does not know.
   * @param {string} written the code, for the person to correct */
  showMistyped(written) {
    const input = /** @type {unknown} */ (this.#parts.body.querySelector("input"));
    const field = /** @type {HTMLInputElement} */ (input);
    field.value = written;
    this.#complain(field, this.#texts.mistyped);
  }

  /** Completes the form after wrong digits.
   * @param {string} written the digits @param {number} left tries */
  showWrong(written, left) {
    const input = /** @type {unknown} */ (this.#parts.body.querySelector("input"));
    const field = /** @type {HTMLInputElement} */ (input);
    field.value = written;
    this.#parts.hint.textContent = ""; // a small screen has no room for both
    this.#complain(field, counted(this.#texts, "wrongDigits", left, this.#language));
  }

  /** @param {HTMLInputElement} field @param {string} complaint */
  #complain(field, complaint) {
    field.setAttribute("aria-invalid", "true");
    this.#parts.note.textContent = complaint;
    field.focus();
    field.select();
  }

  /** Says that the last request failed and is being retried, or no longer says so.
   * @param {string} trouble the key of the text; "" for none */
  showRetrying(trouble) {
    this.#setText(this.#parts.note, trouble ? this.#texts[trouble] : "");
  }

  /** @param {string} action @param {string} other the look in place of its own */
  #button(action, other) {
    const looks = { deny: "button deny", approve: "button approve", release: "button quiet",
      stop: "button quiet" };
    const look = other || (Reflect.get(looks, action) ?? "button primary");
    const button = make("button", look, { type: "button" }, this.#texts[action]);
    return this.#guard.on(button, () => this.#onAction(action));
  }

  /** @param {string} text @param {string} href @param {Record<string, string>} more */
  #link(text, href, more = {}) { return make("a", "link", { href, ...more }, this.#texts[text]); }

  /** The link to the step that the site asks for, in a tab of its own: this page keeps its code and
   * looks again when the person comes back to it. @param {URL} to */
  #step(to) {
    const other = to.origin !== location.origin;
    const words = { host: make("b", "", {}, untrusted(to.host)) };
    return make("a", "link primary", { href: to.href, target: "_blank", rel: "noopener" },
      make("span", "", {}, ...fill(this.#texts[other ? "stepAt" : "step"], words)));
  }

  /** Shows the times of the question. The text that screen readers read aloud changes four times
   * in all.
   * @param {number} left whole seconds until the login expires
   * @param {number} old whole seconds since the browser began it */
  showTimes(left, old) {
    const texts = this.#texts, { left: timer, spoken, body } = this.#parts;
    const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    this.#setText(timer, texts.left.replace("{time}", time));
    this.#setText(spoken, expiry(texts, left, this.#language));
    const begun = body.querySelector("#ago");
    if (begun) this.#setText(begun, ago(old, this.#language));
  }

  /** Does not touch an unchanged text, which a screen reader would read again.
   * @param {Element} element @param {string} text */
  #setText(element, text) { if (element.textContent !== text) element.textContent = text; }
}
