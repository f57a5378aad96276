/**
 * What <qr-login> and <qr-approve> share: elements, attributes as properties, untrusted text,
 * requests, timers and colours.
 *
 * This module knows how to send JSON to a mount of this origin, and which failures are worth a
 * retry. It does not know logins, states or texts. It takes the methods of `document` from the
 * prototype, because <form name="createElementNS"> on the page shadows the document's own. A server
 * that renders pages may import it: then there is no `document`.
 */

/** @type {typeof Document.prototype} */
const { createElementNS, querySelector } = globalThis.Document?.prototype ?? {};

/** The class that the elements extend. On a server, an empty one.
 * @type {typeof HTMLElement} */
export const Base = globalThis.HTMLElement ?? class {};

/** @typedef {Record<string, any>} Answer
 * @typedef {HTMLElement & {request(url: URL, init: RequestInit): Promise<Response>}} Requester
 *   an element whose `request` sends its requests */

export const PATIENCE_S = 10; // after that, an unanswered request counts as lost
// Errors that people cause. All other refusals go to the console, for the developer.
const ENDS_OF_LOGINS = ["unknown_login", "already_scanned", "scanner_changed", "already_redeemed",
  "wrong_state", "denied", "cancelled", "superseded", "expired", "too_many_guesses",
  "unauthenticated", "denied_by_site", "step_up_needed", "match_needed", "wrong_match"];
const INERT_MS = 500; // a press that began before the question appeared does not answer it

/** Strokes on a 24 x 24 grid. @type {Record<string, string>} */
export const DRAWINGS = {
  "": "", corners: "M1 1h6v6h-6zM17 1h6v6h-6zM1 17h6v6h-6z", check: "M5 12.5l4.5 4.5L19 7.5",
  phone: "M9 3h6a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H9a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zM11 18h2",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c.8-3.6 3.8-5.5 7.5-5.5s6.7 1.9 7.5 5.5",
  cross: "M7 7l10 10M17 7L7 17", clock: "M12 3v9.5l6 3.5", mark: "M12 5.5v8M12 18v.01",
  screen: "M4 4.5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-10a1 1 0 0 1 1-1z"
    + "M8 20h8M12 16.5V20",
};

/** The colours by name, in light and in dark. */
const COLOURS = [
  ["accent", "#0b6b5b", "#6fd6bf"], ["on-accent", "#fff", "#06201a"],
  ["alarm", "#a8402a", "#ffab95"], ["on-alarm", "#fff", "#33100a"],
  ["ink", "#17211f", "#eef4f2"], ["muted", "#55625f", "#a9b8b4"],
  ["surface", "#fff", "#18211f"], ["line", "#d9e0de", "#35423f"],
];

/** @param {(light: string, dark: string) => string} choose */
const palette = (choose) => `:host { ${COLOURS.map(([name, light, dark]) =>
  `--${name}: var(--qr-login-${name}, ${choose(light, dark)})`).join("; ")} }`;

/** Colours and shapes, from the same custom properties in both elements. The page's `color-scheme`
 * chooses the colours through light-dark(). A browser without that function accepts it in a custom
 * property and then shows nothing, so such a browser gets plain colours, by the system's
 * preference. */
export const TOKENS = `
${palette((light) => light)}
@media (prefers-color-scheme: dark) { ${palette((_light, dark) => dark)} }
@supports (color: light-dark(#000, #fff)) { ${palette((...both) => `light-dark(${both})`)} }
:host { display: block; --radius: var(--qr-login-radius, 1.25rem) }
:host([hidden]), [hidden] { display: none !important }
* { box-sizing: border-box; margin: 0 }
.icon { fill: none; stroke: var(--tone); stroke-width: 1.5; stroke-linecap: round;
  stroke-linejoin: round }
.picture.alarm { --tone: var(--alarm) } .picture.quiet { --tone: var(--muted) }
.spoken { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap }
button { font: inherit; font-weight: 600; min-block-size: 2.875rem; padding: .5rem; cursor: pointer;
  color: var(--ink); background: none; border: 1.5px solid var(--muted);
  border-radius: calc(var(--radius) * .6) }
.primary { color: var(--on-accent); background: var(--accent); border-color: var(--accent) }
button:hover { text-decoration: underline; text-underline-offset: .2em }
button[aria-disabled] { opacity: .55; cursor: default }
@media (prefers-reduced-motion: reduce) {
  * { animation: none !important; transition: none !important } }
`;

/** @type {WeakMap<Document, Map<string, CSSStyleSheet>>} */
const sheets = new WeakMap();

/** Gives a shadow root its styles. Call it again in every document: a move into another document
 * drops them, and a document takes only style sheets of its own.
 * @param {ShadowRoot} root @param {string} css */
export function dress(root, css) {
  const { ownerDocument: document } = root, view = viewOf(root);
  if (!view) return; // a document without a window
  const known = sheets.get(document) ?? new Map();
  const sheet = known.get(css) ?? new view.CSSStyleSheet();
  if (!known.has(css)) sheet.replaceSync(css);
  sheets.set(document, known.set(css, sheet));
  root.adoptedStyleSheets = [sheet];
}

/** Whether this browser can run the elements: whether it has the newest things that they need. */
export function supported() {
  let signal = false;
  const options = { get signal() { signal = true; return undefined; } };
  try {
    new CSSStyleSheet();
    new EventTarget().addEventListener("test", () => {}, options);
  } catch {
    return false;
  }
  return signal && "replaceChildren" in Element.prototype && "ResizeObserver" in window;
}

/** An element for a browser that is too old: it shows one sentence, and its children. The promise
 * of `ready` resolves when the sentence is final.
 * @type {(sentence: (element: HTMLElement) => string,
 *   ready: (element: HTMLElement) => Promise<void>) => typeof HTMLElement} */
export const outdated = (sentence, ready) => class extends Base {
  connectedCallback() {
    this.setAttribute("state", "outdated");
    if (this.shadowRoot) return;
    const text = make("p", "", {}, sentence(this));
    this.attachShadow({ mode: "open" }).append(text, make("slot"));
    ready(this).then(() => { text.textContent = sentence(this); });
  }
};

// Attributes and properties

const NO_VALUE = ["null", "undefined", "false", "NaN"]; // what some frameworks write as text

/** The text of an attribute, or null if it is missing or says that there is no value.
 * @param {Element} element @param {string} name */
export function attribute(element, name) {
  const text = element.getAttribute(name);
  return text === null || NO_VALUE.includes(text) ? null : text;
}

/** What properties wrote into attributes. @type {WeakMap<Element, Map<string, string | null>>} */
const written = new WeakMap();

const propertyOf = (/** @type {string} */ name) =>
  name.replace(/-./g, (dash) => dash[1].toUpperCase());

/** Gives a class a property for each attribute: `csrfToken` for csrf-token. A property of text is
 * "" without the attribute; a flag is true or false. No value (null, undefined, false, NaN, "")
 * removes the attribute.
 * @param {typeof HTMLElement} type @param {string[]} texts @param {string[]} flags */
export function reflect(type, texts, flags) {
  for (const name of [...texts, ...flags]) {
    const flag = flags.includes(name);
    Object.defineProperty(type.prototype, propertyOf(name), {
      configurable: true,
      enumerable: true,
      /** @this {HTMLElement} */
      get() {
        const text = attribute(this, name);
        return flag ? text !== null : text ?? "";
      },
      /** @this {HTMLElement} @param {unknown} value */
      set(value) {
        const none = value === "" || value === null || NO_VALUE.includes(String(value));
        const text = none ? null : flag ? "" : String(value);
        written.set(this, (written.get(this) ?? new Map()).set(name, text));
        if (text === null) this.removeAttribute(name);
        else this.setAttribute(name, text);
      },
    });
  }
}

/** Applies the properties that were set before the element was defined: they hide those of its
 * class. @param {any} element @param {string[]} attributes */
export function upgrade(element, attributes) {
  for (const name of attributes.map(propertyOf)) {
    if (!Object.prototype.hasOwnProperty.call(element, name)) continue;
    const value = element[name];
    delete element[name];
    element[name] = value;
  }
}

/** Call it when an attribute changes. Restores one that a property wrote and that a morph, which
 * knows only the server's HTML, has removed.
 * @param {Element} element @param {string} name @param {string | null} value */
export function keepAttribute(element, name, value) {
  const all = written.get(element), text = all?.get(name) ?? null;
  if (value !== null && value !== text) all?.delete(name); // the page has set it since
  if (value !== null || text === null) return;
  // Later, because the morph may be in the middle of a list of attributes.
  queueMicrotask(() => {
    if (!element.hasAttribute(name) && all?.get(name) === text) element.setAttribute(name, text);
  });
}

/** @type {WeakMap<HTMLElement, ElementInternals>} */
const internals = new WeakMap();

/** Writes the state for styles and tests: as the attribute `state`, and as `:state(…)` where the
 * browser has that. @param {HTMLElement} element @param {string} state */
export function writeState(element, state) {
  if (element.getAttribute("state") !== state) element.setAttribute("state", state);
  try {
    const inside = internals.get(element) ?? element.attachInternals();
    internals.set(element, inside);
    inside.states.clear();
    inside.states.add(state);
  } catch {
    // an older browser, or a subclass that has the internals
  }
}

/** Dispatches an event under its two names: "qr-login:state", and "qr-login-state" for templates in
 * which a colon means something else. Returns false if a listener prevented its default.
 * @param {HTMLElement} element @param {string} prefix @param {string} name
 * @param {object} detail */
export function emit(element, prefix, name, detail, cancelable = false) {
  const options = { bubbles: true, composed: true, cancelable, detail };
  return [":", "-"].map((mark) =>
    element.dispatchEvent(new CustomEvent(prefix + mark + name, options))).every(Boolean);
}

// Failures

/** The statuses and the server's error codes that no retry can change, and the state that each
 * leads to. "stale" means that the page is too old or that the site is not set up: a framework
 * refuses a missing CSRF token and an expired one alike.
 * @type {[unknown, string][]} */
export const REFUSALS = [
  [400, "stale"], [401, "stale"], [403, "stale"], [419, "stale"],
  [404, "refused"], [405, "refused"], [413, "refused"], [415, "refused"], [426, "refused"],
  ["forbidden", "refused"], ["invalid_request", "refused"], [410, "expired"],
];

/** A failed request. `state` is the view to show. If `retryable`, another attempt may succeed, but
 * not before `retryAfter` seconds. `code` is the server's error code, `status` the HTTP status; 0
 * means that there was no answer. `words` and `stepUp` are what the site's judge answered. */
export class Trouble extends Error {
  /** @param {string} state */
  constructor(state, retryable = true, retryAfter = 0, code = "", status = 0) {
    super(code || state);
    this.state = state, this.retryable = retryable;
    this.retryAfter = retryAfter, this.code = code, this.status = status;
    this.words = "", this.stepUp = "";
    this.triesLeft = 0; // after wrong digits
  }
}

/** Creates an element. Its `part` is also its class.
 * @param {string} tag @param {string} part @param {Record<string, string>} attributes
 * @param {(Element | string)[]} children */
export function make(tag, part = "", attributes = {}, ...children) {
  const space = ["svg", "rect", "path", "image"].includes(tag)
    ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const element =
    /** @type {HTMLElement & SVGElement} */ (createElementNS.call(document, space, tag));
  const all = part ? { class: part, part, ...attributes } : attributes;
  for (const [name, value] of Object.entries(all)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The window of a node, or null. @param {Node} node
 * @returns {(Window & typeof globalThis) | null} */
export const viewOf = ({ ownerDocument }) =>
  Reflect.get(Document.prototype, "defaultView", ownerDocument);
/** Whether the page of an element is a copy that Turbo shows until it has the page.
 * @param {Node} element */
export const isPreview = ({ ownerDocument }) =>
  Reflect.get(Document.prototype, "documentElement", ownerDocument)
    .hasAttribute("data-turbo-preview");
/** Whether the page of an element is hidden. @param {Node} element */
export const hidden = ({ ownerDocument } = document) =>
  Reflect.get(Document.prototype, "visibilityState", ownerDocument ?? document) === "hidden";
/** Whether nothing on the page of an element has the focus. @param {Node} element */
export const unfocused = ({ ownerDocument } = document) =>
  !querySelector.call(ownerDocument ?? document, ":focus");
/** Milliseconds that a change of the system's clock does not affect. */
export const now = () => performance.now();
/** A number of seconds that the server sent, between 0 and `most`. */
export const seconds = (/** @type {any} */ value, most = 3600) =>
  value > 0 ? Math.min(Number(value), most) : 0;

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(resolve, ms);
    const abort = () => (clearTimeout(timer), reject(signal.reason));
    signal.addEventListener("abort", abort, { once: true });
  });
}

/** The delay in milliseconds after this many failures in a row. */
export const backoff = (/** @type {number} */ failed) =>
  Math.min(30_000, 1000 * 2 ** (failed - 1)) * (0.5 + Math.random() / 2);

/** What a name must not contain: control and format characters, private use and what shows nothing.
 * The first alternative, a flag such as Scotland's, stays: its tags are format characters. */
const HIDDEN = new RegExp("\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{3,6}\u{e007f}"
  + "|[\\p{Cs}\\p{Co}\\p{NChar}\u034f\u17b4\u17b5\u2800]|(?![\u200c\u200d\\p{M}])[\\p{Cf}\\p{DI}]",
"gu");
/** A letter with its marks, an emoji sequence or a flag, roughly. */
const LETTER = new RegExp("(?:\\p{RI}{2}|.)(?:[\\p{M}\\p{EMod}\u200c\u{e0020}-\u{e007f}]|\u200d.?)*",
  "gsu");

/** A name as one line of text, cleaned as names.py cleans it: the name could hide text or change
 * the direction of the text around it. Joiners stay where they join, because emoji, Persian and the
 * scripts of India need them. A name longer than `most` characters is cut between two letters.
 * @param {unknown} name */
export function plain(name, most = 80) {
  if (typeof name !== "string") return "";
  const text = name.replace(HIDDEN, (found) => (found.length > 2 ? found : ""))
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, " ")
    .replace(/(^|[^\u200c\u200d])([\u200c\u200d]+)(?=(.?))/gsu, (_all, before, joiners, after) =>
      before + (!before.trim() ? "" : /\p{M}/u.test(before) ? joiners[0]
        : after.trim() ? joiners.slice(-1) : ""))
    .replace(/\s{2,}/g, " ").trim();
  const all = Array.from(text);
  if (all.length <= most) return text;
  const letters = Intl.Segmenter
    ? Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment)
    : text.match(LETTER) ?? [];
  let kept = "", left = most;
  for (const letter of letters) {
    if ((left -= Array.from(letter).length) < 0) break;
    kept += letter;
  }
  return `${kept.trimEnd() || all.slice(0, most).join("")}…`;
}

/** Letters of scripts that look like no other, and of scripts that pass for a to z only among such
 * letters: names.py has the same two lists. */
const EAST_ASIAN = "\u3005\u3006\u3041-\u3096\u309d\u309e\u30a1-\u30fe\u3105-\u312f\u3400-\u4dbf"
  + "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\u{20000}-\u{3fffd}";
const ALONE = "\u05d0-\u05ea\u05f3\u05f4\u0620-\u0655\u0670-\u06d3\u06d5"
  + "\u0900-\u0963\u0971-\u0983\u0985-\u09e3\u09f0\u09f1\u0a01-\u0a5e\u0a70-\u0a75\u0a81-\u0ae3"
  + "\u0b01-\u0b63\u0b71\u0b82-\u0bd7\u0c00-\u0c63\u0c80-\u0ce3\u0d00-\u0d57\u0d5f-\u0d63"
  + "\u0d7a-\u0d7f\u0d81-\u0ddf\u0df2\u0df3\u0e01-\u0e3a\u0e40-\u0e4e"
  + "\u3007\u3099\u309a\uff66-\uff9f";
const DOT = `(?<=[${EAST_ASIAN}])\u00b7(?=[${EAST_ASIAN}])`;
const ODD = new RegExp(`((?:(?!${DOT})[^\0-\x7f\u3000${EAST_ASIAN}])+)`, "u");
const ODD_SIGN = `(?:(?!${DOT})[^\0-\x7f\u3000${EAST_ASIAN}${ALONE}\u200c\u200d])`;
const ODD_ALONE = new RegExp(`(${ODD_SIGN}+(?:[\u200c\u200d]+${ODD_SIGN}+)*)`, "u");

/** Splits the full name of an account: every second piece is what could be taken for letters of a
 * to z, by the same rule as names.py. @param {string} name */
export const oddPieces = (name) => name.split(/[a-z]/i.test(name) ? ODD : ODD_ALONE);

/** Accepts only presses that a person makes on what the card shows now. It rejects clicks by a
 * script, presses that began on an earlier view, and a key that is held down. Buttons and links
 * are inert for INERT_MS after `hold`, and after the window comes to the front. */
export class Guard {
  #card;
  // Instants of now(): when presses count again, and when the current press began.
  #inertUntil = 0; #pressedAt = Infinity;

  /** @param {Element} card */
  constructor(card) {
    this.#card = card;
    card.addEventListener("pointerdown", () => { this.#pressedAt = now(); }, true);
    card.addEventListener("keydown", (/** @type {any} */ { key, repeat }) => {
      // A held Enter key clicks again with every repeat; a held space bar clicks once.
      if (key === "Enter" || (key === " " && !repeat)) this.#pressedAt = repeat ? 0 : now();
    }, true);
    card.addEventListener("click", (event) => { // the second click of a double click opens no link
      const link = /** @type {Element} */ (event.target).closest("a");
      if (link && !this.#isIntended()) event.preventDefault();
    }, true);
    for (const end of ["click", "pointercancel"])
      card.addEventListener(end, () => { this.#pressedAt = Infinity; });
  }

  /** Until `signal`, also holds when the window comes to the front: the second click of a double
   * click on another window may land here. @param {AbortSignal} signal */
  watch(signal) {
    const view = viewOf(this.#card) ?? window;
    view.addEventListener("focus", () => this.hold(), { signal });
    view.addEventListener("visibilitychange", () => hidden(this.#card) || this.hold(), { signal });
  }

  /** Makes buttons and links inert for INERT_MS. */
  hold() {
    const until = (this.#inertUntil = now() + INERT_MS);
    const buttons = this.#card.querySelectorAll("button");
    for (const button of buttons) button.setAttribute("aria-disabled", "true");
    setTimeout(() => {
      if (until !== this.#inertUntil) return;
      for (const button of buttons) button.removeAttribute("aria-disabled");
    }, INERT_MS);
  }

  /** Runs `act` when a person presses the button. A click never submits a form. Returns the button.
   * @template {Element} B @param {B} button @param {() => void} act */
  on(button, act) {
    button.addEventListener("click", (event) => {
      event.preventDefault();
      if (event.isTrusted && this.#isIntended()) act();
    });
    return button;
  }

  #isIntended() { return Math.min(this.#pressedAt, now()) >= this.#inertUntil; }
}

/** A path of this origin as a full URL, or "" if it is not one. It returns the full URL because its
 * path alone could be "//host", from "/..//host". */
export function ownPath(/** @type {string | null} */ next) {
  if (!next || !/^\/(?![/\\])[^\\\s\u0000-\u001f\u007f-\u009f]*$/u.test(next)) return "";
  const url = new URL(next, location.origin);
  return url.origin === location.origin && !url.pathname.startsWith("//") ? url.href : "";
}

/** The last `src` of each element: it goes on if a morph removes the attribute.
 * @type {WeakMap<Element, string>} */
const sources = new WeakMap();

/** The URL of a path below the mount that `src` names. Throws a TypeError for another origin.
 * @param {Element} element @param {string} path */
export function mountUrl(element, path) {
  const src = attribute(element, "src") || sources.get(element);
  const base = new URL(src ?? "", element.baseURI);
  if (!src || base.origin !== location.origin)
    throw new TypeError("src must be a path of this origin");
  sources.set(element, src);
  return new URL(path, base.origin + base.pathname.replace(/\/?$/, "/"));
}

/** An absolute address, or null. URL.canParse and URL.parse are too new.
 * @param {unknown} address */
export function parsed(address) {
  try {
    return new URL(String(address));
  } catch {
    return null;
  }
}

/** An address that is safe in a link: absolute, http or https. Otherwise "".
 * @param {unknown} address */
export function webAddress(address) {
  const url = parsed(address);
  return url && /^https?:$/.test(url.protocol) ? url.href : "";
}

/** Sends a request to the mount that `src` names: a POST if there is a body, else a GET. Throws
 * `Trouble` for everything but a successful answer. `ends` maps final error codes and statuses to
 * the state that each leads to. `picture` is the id of the picture on the screen: the answer has
 * only another one.
 * @param {Requester} element @param {string} path @param {object | null} body
 * @param {AbortSignal} signal
 * @param {{patience?: number, ends: ReadonlyMap<unknown, string>, keepalive?: boolean,
 *   picture?: string}} options
 * @returns {Promise<Answer>} */
export async function call(element, path, body, signal, options) {
  const { patience = PATIENCE_S, ends, keepalive = false, picture = "" } = options;
  // A header, because a server of an older version refuses a query that it does not know.
  const headers = new Headers({ Accept: `application/json${picture && `; picture=${picture}`}` });
  const timeout = new AbortController(), abort = () => timeout.abort();
  let url, response, answer;
  try {
    const csrf = attribute(element, "csrf-header");
    url = mountUrl(element, path);
    if (body) headers.set("Content-Type", "application/json");
    if (body && csrf) headers.set(csrf, attribute(element, "csrf-token") ?? "");
  } catch (error) {
    console.error(`<${element.localName}>`, error);
    throw new Trouble("refused", false);
  }
  const timer = setTimeout(abort, patience * 1000);
  signal.addEventListener("abort", abort);
  try {
    // Not mode "same-origin": a page without a referrer would send "Origin: null". `mountUrl` has
    // checked the origin already.
    response = await element.request(url, {
      method: body ? "POST" : "GET", body: body && JSON.stringify(body), headers,
      signal: timeout.signal, mode: "cors", credentials: "same-origin", redirect: "error",
      cache: "no-store", keepalive,
    });
    // The answer has no prototype, so the server's JSON cannot pollute one.
    answer = Object.assign(Object.create(null), JSON.parse(await response.text()));
  } catch {
    if (signal.aborted) throw signal.reason; // otherwise: no connection, or an answer without JSON
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
  if (!response) throw new Trouble(navigator.onLine ? "unavailable" : "offline");
  if (response.ok && answer) return answer;
  const { ok, status } = response, code = String(answer?.error);
  const end = ends.get(answer?.error) ?? (status < 500 && ends.get(status));
  const retryAfter = seconds(answer?.retry_after ?? response.headers.get("Retry-After"));
  if (!ok && !ENDS_OF_LOGINS.includes(code)) {
    // The sentence that the server sent for the developer: this module shows it nowhere else.
    const said = answer?.error ? `${code} ${plain(answer.error_description, 500)}` : "";
    const level = status < 500 && status !== 429 ? "error" : "warn";
    console[level](`<${element.localName}> ${url.pathname}: ${status} ${said}`);
  }
  if (end) throw Object.assign(new Trouble(end, false, retryAfter, code, status), {
    words: plain(answer?.words, 600), stepUp: String(answer?.step_up_uri ?? ""),
    triesLeft: seconds(answer?.tries_left),
  });
  const retryable = ok || status === 429 || status >= 500;
  throw new Trouble("unavailable", retryable, Math.min(retryAfter, 120), code, status);
}
