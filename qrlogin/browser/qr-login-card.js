/**
 * What <qr-login> shows: the card with the code, the texts, the countdown and the buttons.
 *
 * This module knows how each state looks, and which presses count (Guard). It sends no request and
 * keeps no login: the element passes in what to show, and is called back when a person presses a
 * button.
 */

import { DRAWINGS, Guard, TOKENS, dress, make, oddPieces, unfocused, viewOf } from "./qr-login-parts.js";
import { expiry, markLanguage } from "./qr-login-texts.js";

/** What each state shows beside its two texts: a drawing, its tone, and its actions. Declining
 * comes first. */
const VIEWS = Object.freeze({
  idle: ["phone", "", "start"], starting: ["corners", ""],
  pending: ["", ""], scanned: ["phone", "", "no"], confirmed: ["person", "", "no", "yes"],
  redeeming: ["person", ""], redeemed: ["check", ""],
  denied: ["cross", "alarm", "renew"], cancelled: ["cross", "quiet", "renew"],
  expired: ["clock", "quiet", "renew"], superseded: ["phone", "quiet", "here"],
  used: ["mark", "quiet", "reload"], unknown: ["mark", "alarm", "renew"],
  forgotten: ["clock", "quiet", "renew"], offline: ["mark", "alarm", "again"],
  unavailable: ["mark", "alarm", "again"], refused: ["mark", "alarm", "again"],
  paused: ["clock", "quiet", "again"], stale: ["clock", "quiet", "reload"],
});
/** The states in which the login has a deadline, and the page polls. */
export const LIVE = ["pending", "scanned", "confirmed"];
/** The titles of a login that expired after one of these states: its code had not expired. */
const EXPIRED_AFTER = new Map(/** @type {[State, string][]} */ ([["scanned", "expiredScanned"],
  ["confirmed", "expiredConfirmed"], ["redeeming", "expiredConfirmed"]]));
/** The states in which the children show again. */
const WITH_CHILDREN = ["offline", "unavailable", "refused", "paused", "stale", "unknown"];
/** A screen that no other phone can scan well, on a device that can open the app itself. */
const PHONE = "(pointer: coarse) and (max-width: 40rem), (pointer: coarse) and (max-height: 30rem)";

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
.name { color: var(--accent) } .full { font-family: ui-monospace, monospace }
.odd { color: inherit; background: none; border: 2px solid; border-radius: .2em;
  padding-inline: .08em; margin-inline: .08em; box-decoration-break: clone;
  -webkit-box-decoration-break: clone }
.hint, .typed, .note { color: var(--muted); text-wrap: balance } .note { font-size: .875rem }
:is(.title, .hint, .typed):lang(zh) { word-break: keep-all } /* breaks after a clause */
:is(.title, .hint, .typed):lang(ja) { word-break: auto-phrase }
.hint { margin-block-start: .375rem } .typed { margin-block-start: -.625rem }
.phone .typed { margin-block-start: 0 }
.code { color: var(--ink); font: 650 1.125em ui-monospace, monospace; letter-spacing: .06em;
  white-space: nowrap }
.digits { font: 700 3.5rem/1 ui-monospace, "DejaVu Sans Mono", monospace; letter-spacing: .2em;
  padding-inline-start: .2em; margin-block: .75rem; color: var(--ink) } .digits:empty { display: none }
.link { display: inline-flex; align-items: center; min-block-size: 2.75rem; color: var(--accent);
  font-weight: 600 }
.phone .link { justify-content: center; inline-size: 100%; padding: .5rem; text-decoration: none;
  border-radius: calc(var(--radius) * .6); background: var(--accent); color: var(--on-accent) }
.phone .link:hover { text-decoration: underline; text-underline-offset: .2em }
.fold { border-color: #0000; color: var(--accent) } .phone { min-block-size: 18rem }
.actions { display: grid; gap: .625rem; inline-size: 100% }
.card:focus { outline: none }
.card:focus-visible, button:focus-visible, .link:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 3px }
@keyframes breathe { from { opacity: .4 } } @keyframes nudge { 50% { transform: translateY(-4px) } }
@media (forced-colors: active) { .countdown { stroke: GrayText; stroke-width: 1px }
  .countdown .remaining, .icon, .wide .icon { stroke: CanvasText }
  .countdown .remaining { stroke-width: 3px } }
`;
/** @typedef {keyof typeof VIEWS} State
 * @typedef {HTMLElement & {texts: Readonly<Record<string, string>>}} Host the element */

export class Card {
  #host; #onAction;
  /** @type {Record<string, HTMLElement & SVGElement>} */ #parts;
  #guard; // decides which presses count
  /** @type {State} */ #state = "idle";
  #texted = "idle"; // the key of the title: the state, or one of EXPIRED_AFTER
  #name = ""; // of the account that scanned
  #fullName = ""; // of the account that approved
  #digits = ""; // to type on the phone
  #phone = false; // whether this is a phone, which opens the code better than it shows it
  #folded = true; // whether such a phone hides the code
  #root;
  /** @type {Readonly<Record<string, string>>} */ #texts = {}; // the texts of the current view
  #language = "en"; // theirs

  /** Builds the card in a shadow root of `host`. It is empty until the first `show`.
   * @param {Host} host
   * @param {(action: string) => void} onAction receives the action of a pressed button, as in
   *   VIEWS */
  constructor(host, onAction) {
    this.#host = host, this.#onAction = onAction;
    const path = make("path", "", { fill: "#000" }), icon = make("path");
    const image = make("image", "", { width: "100%", height: "100%" });
    // A picture that does not load would hide the plain code under it.
    image.addEventListener("error", () => image.removeAttribute("href"));
    const left = make("rect", "remaining", { pathLength: "1" });
    // Hidden until the first view gives it a name.
    const qr = make("svg", "qr", { role: "img", "shape-rendering": "crispEdges", hidden: "" },
      make("rect", "", { width: "100%", height: "100%", fill: "#fff" }), path, image);
    const picture = make("div", "picture", {},
      make("svg", "countdown", { "aria-hidden": "true" }, make("rect"), left), qr,
      make("svg", "icon", { "aria-hidden": "true", viewBox: "0 0 24 24" }, icon));
    const title = make("p", "title", { id: "title" });
    const hint = make("p", "hint"), digits = make("p", "digits"), typed = make("p", "typed");
    const link = make("a", "link", { target: "_blank", rel: "noopener", hidden: "" });
    const note = make("p", "note", { role: "status", "aria-live": "off" });
    const fold = make("button", "fold", { type: "button", hidden: "" });
    // No child shows before the first view: the texts of its language may be on their way.
    const actions = make("div", "actions"), slot = make("slot", "", { hidden: "" });
    const card = make("div", "card", { role: "group", tabindex: "-1", "aria-labelledby": "title" },
      picture, make("div", "", { role: "status" }, title, hint, digits), typed, link, fold, note, actions,
      slot);
    this.#parts = {
      path, image, icon, qr, left, picture, title, hint, digits, typed, link, fold, note, actions, slot,
      card,
    };
    this.#guard = new Guard(card);
    this.#guard.on(fold, () => { this.#folded = !this.#folded; this.#layOut(); });
    this.#root = host.attachShadow({ mode: "open" });
    this.#root.append(card);
  }

  /** Takes up work in the document that the host is in now. Until `signal`, the card also ignores
   * presses just after the window comes to the front, and `onSight` is called when the card has
   * appeared or disappeared.
   * @param {AbortSignal} signal @param {() => void} onSight */
  watch(signal, onSight) {
    dress(this.#root, TOKENS + STYLE);
    this.#guard.watch(signal);
    let rendered = this.isRendered;
    const observer = new ResizeObserver(() => {
      if (rendered === this.isRendered) return;
      rendered = !rendered;
      setTimeout(onSight); // a change of the layout in here would be an error on the page
    });
    observer.observe(this.#parts.card);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Whether the card has a place on the page. It has none under `display: none`. */
  get isRendered() { return this.#parts.card.getClientRects().length > 0; }

  /** The path of the code that is drawn. */
  get code() { return this.#parts.path.getAttribute("d"); }

  /** Shows a state: its drawing, texts and buttons.
   * @param {State} state @param {string} name of the account that scanned, or ""
   * @param {string[]} typedCode a code to type and where to type it, or nothing
   * @param {string} fullName of the account that approved, or ""
   * @param {string} digits to type on the phone, or "" */
  show(state, name, typedCode, fullName = "", digits = "") {
    const host = this.#host, parts = this.#parts, texts = (this.#texts = host.texts);
    parts.typed.replaceChildren(...(state === "pending" ? this.#typedNodes(typedCode) : []));
    // Another code is no other state: nothing is announced, and the focus stays.
    if (state === "pending" && this.#state === state) return;
    const inside = host.matches(":focus-within");
    const [drawing, tone, ...actions] = VIEWS[state];
    if (state !== this.#state) {
      this.#folded = true;
      this.#texted = (state === "expired" && EXPIRED_AFTER.get(this.#state)) || state;
    }
    this.#state = state, this.#name = name, this.#fullName = fullName;
    this.#digits = state === "scanned" ? digits : "";
    this.#language = markLanguage(parts.card, host);

    const wide = ["pending", "starting"].includes(state), live = LIVE.includes(state);
    parts.picture.setAttribute("class",
      `picture ${state} ${tone} ${wide ? "wide" : ""} ${live ? "live" : ""}`);
    parts.qr.toggleAttribute("hidden", state !== "pending");
    parts.qr.setAttribute("aria-label", texts.label);
    parts.icon.setAttribute("d", DRAWINGS[drawing]);
    parts.fold.textContent = texts.otherPhone;
    this.#layOut();
    parts.actions.replaceChildren(...actions.map((action) => this.#button(action)));
    this.#guard.hold();
    parts.slot.toggleAttribute("hidden", !WITH_CHILDREN.includes(state));
    parts.card.setAttribute("aria-busy", String(["starting", "redeeming"].includes(state)));

    // The card takes the focus if the focus was inside. A question takes it also if nothing had
    // the focus. The card never takes it from a field that the user is typing in.
    if (inside || (state === "confirmed" && unfocused(host)))
      parts.card.focus({ preventScroll: inside });
  }

  /** Puts the code or the link first: a phone cannot scan its own screen. */
  #layOut() {
    const { card, picture, title, hint, typed, link, fold } = this.#parts, texts = this.#texts;
    const state = this.#state, address = link.getAttribute("href");
    this.#phone = state === "pending" && !!address && this.#matches(PHONE);
    const folded = this.#phone && this.#folded;
    card.classList.toggle("phone", this.#phone);
    fold.toggleAttribute("hidden", !this.#phone);
    fold.setAttribute("aria-expanded", String(!folded));
    for (const part of [picture, typed]) part.toggleAttribute("hidden", folded);
    // The code opens below its button, and not above what the user is looking at.
    if (this.#phone !== (fold.nextSibling === picture))
      this.#phone ? fold.after(picture, typed) : (card.prepend(picture), link.before(typed));
    const pieces = oddPieces(this.#fullName);
    const name = make("bdi", "name", {}, ...(this.#fullName
      ? pieces.map((piece, index) => (index % 2 ? make("mark", "odd", {}, piece) : piece))
      : [this.#name || texts.nameless]));
    name.classList.toggle("full", !!this.#fullName);
    const question = !this.#fullName ? "confirmedMasked" : pieces.length > 1 ? "confirmedOdd"
      : "confirmedHint";
    const words = this.#phone ? texts.phoneTitle : texts[this.#texted];
    title.replaceChildren(
      ...words.split("{name}").flatMap((text, index) => (index ? [name, text] : [text])));
    // Screen readers read one digit after the other.
    this.#parts.digits.replaceChildren(...(!this.#digits ? [] : [
      make("span", "", { "aria-hidden": "true" }, this.#digits),
      make("span", "", { class: "spoken" }, this.#digits.split("").join(" "))]));
    hint.textContent = this.#phone ? texts.phoneText : this.#digits ? texts.enterDigits
      : texts[this.#texted !== state ? "expiredAnew" : state === "confirmed" ? question
        : `${state}Hint`];
    link.textContent = this.#phone ? texts.openApp : texts.sameDevice;
  }

  /** @param {string} query */
  #matches(query) {
    return (viewOf(this.#host) ?? window).matchMedia(query).matches;
  }

  /** The code to type, for people without a camera. Screen readers spell it letter by letter.
   * @param {string[]} typedCode @returns {(string | Element)[]} */
  #typedNodes([code, uri]) {
    if (!code) return [];
    const letters = code.replace("-", ",").split("").join(" ").replace(" ,", ",");
    const shown = make("b", "code", { "aria-hidden": "true" }, code);
    const spoken = make("span", "", { class: "spoken" }, letters), where = make("bdi", "", {}, uri);
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

  /** Draws the plain code. Returns false if it is drawn already.
   * @param {number} size in modules @param {string} path
   * @param {string} address what the code contains; the link has it too */
  draw(size, path, address) {
    const parts = this.#parts;
    parts.link.setAttribute("href", address);
    if (this.code === path) return false;
    parts.qr.setAttribute("viewBox", `0 0 ${size} ${size}`);
    parts.path.setAttribute("d", path);
    return true;
  }

  /** Covers the plain code with the server's picture, once that has loaded.
   * @param {string} url */
  cover(url) { this.#parts.image.setAttribute("href", url); }

  /** Shows the time that is left. The ring moves at each call; the text changes four times in all.
   * Screen readers read it aloud when a person must decide in that time, and when a request failed;
   * a code that expires is replaced, or the title says that it has expired.
   * @param {number} left seconds until the login expires
   * @param {number} total seconds of the whole countdown
   * @param {boolean} stale whether the code is too old to be scanned
   * @param {string} trouble the key of the text for a request that failed and is being retried */
  showTime(left, total, stale, trouble) {
    const texts = this.#texts, { left: ring, picture, note, link } = this.#parts;
    const part = Math.max(0, Math.min(1, (left - 1) / total));
    ring.style.setProperty("--left", String(part));
    picture.classList.toggle("stale", stale); // an expired code fades out
    if (this.#state === "pending" && this.#phone !== this.#matches(PHONE)) this.#layOut();
    const pending = this.#state === "pending", touch = this.#matches("(pointer: coarse)");
    const offered = touch && pending && !stale && link.getAttribute("href");
    link.toggleAttribute("hidden", !offered);
    const text = trouble ? texts[trouble] : LIVE.includes(this.#state)
      ? expiry(texts, left, this.#language) : "";
    if (note.textContent === text) return;
    note.setAttribute("aria-live", pending && !trouble ? "off" : "polite");
    note.textContent = text;
  }
}
