/**
 * What <qr-login> and <qr-approve> share: making elements, showing foreign text, asking the server, waiting, and the colours.
 *
 * Knows: how to ask a door of this origin with JSON, and how a failure tells whether another try makes sense.
 * Refuses to know: logins, states, words. Takes what `document` offers from its prototype, because
 * <form name="createElementNS"> on the page shadows the document's own.
 */

const { createElementNS, querySelector } = Document.prototype;

/** @typedef {Record<string, any>} Answer
 * @typedef {HTMLElement & {request(url: URL, init: RequestInit): Promise<Response>}} Asking an element with its seam to the server */

export const PATIENCE_S = 10; // before an unanswered request counts as lost
const CALM_MS = 500; // a click that was already on its way when the question appeared is no answer to it

/** Strokes on a 24 x 24 grid. @type {Record<string, string>} */
export const DRAWINGS = {
  "": "", corners: "M1 1h6v6h-6zM17 1h6v6h-6zM1 17h6v6h-6z", check: "M5 12.5l4.5 4.5L19 7.5",
  phone: "M9 3h6a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H9a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zM11 18h2",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c.8-3.6 3.8-5.5 7.5-5.5s6.7 1.9 7.5 5.5",
  cross: "M7 7l10 10M17 7L7 17", clock: "M12 3v9.5l6 3.5", mark: "M12 5.5v8M12 18v.01",
  screen: "M4 4.5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-10a1 1 0 0 1 1-1zM8 20h8M12 16.5V20",
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
 * property and then shows nothing, so such a browser gets plain colours, by the system's preference. */
export const TOKENS = `
${palette((light) => light)}
@media (prefers-color-scheme: dark) { ${palette((_light, dark) => dark)} }
@supports (color: light-dark(#000, #fff)) { ${palette((...both) => `light-dark(${both})`)} }
:host { display: block; --radius: var(--qr-login-radius, 1.25rem) }
:host([hidden]), [hidden] { display: none !important }
* { box-sizing: border-box; margin: 0 }
.icon { fill: none; stroke: var(--tone); stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round }
.picture.alarm { --tone: var(--alarm) } .picture.quiet { --tone: var(--muted) }
.spoken { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
button { font: inherit; font-weight: 600; min-block-size: 2.875rem; padding: .5rem; cursor: pointer;
  color: var(--ink); background: none; border: 1.5px solid var(--muted); border-radius: calc(var(--radius) * .6) }
.primary { color: var(--on-accent); background: var(--accent); border-color: var(--accent) }
button:hover { text-decoration: underline; text-underline-offset: .2em }
button[aria-disabled] { opacity: .55; cursor: default }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important } }
`;

/** A sheet to adopt. @param {string} css */
export function sheetOf(css) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  return sheet;
}

/** A call without the answer it wanted. `passing`: worth another try, not before `after` seconds. */
export class Trouble extends Error {
  constructor(/** @type {string} */ state, passing = true, after = 0, code = "") {
    super(code || state);
    this.state = state, this.passing = passing, this.after = after, this.code = code;
  }
}

/** An element whose part is also its class.
 * @param {string} tag @param {string} part @param {Record<string, string>} attributes @param {(Element | string)[]} children */
export function make(tag, part = "", attributes = {}, ...children) {
  const space = ["svg", "rect", "path", "image"].includes(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const element = /** @type {HTMLElement & SVGElement} */ (createElementNS.call(document, space, tag));
  const all = part ? { class: part, part, ...attributes } : attributes;
  for (const [name, value] of Object.entries(all)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const hidden = () => Reflect.get(Document.prototype, "visibilityState", document) === "hidden";
/** Whether nothing on the page has the focus. */
export const unfocused = () => !querySelector.call(document, ":focus");
export const now = () => performance.now(); // milliseconds that no clock change can move
export const seconds = (/** @type {any} */ value, most = 3600) => (value > 0 ? Math.min(Number(value), most) : 0);

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** How long to wait after so many failures in a row, in milliseconds. */
export const backoff = (/** @type {number} */ failed) => Math.min(30_000, 1000 * 2 ** (failed - 1)) * (0.5 + Math.random() / 2);

/** A name as one line of text that cannot turn the text around it and hides nothing. Joiners stay: emoji, Persian and the
 * scripts of India are written with them. Beyond `most` characters it is cut, and no emoji of several is parted.
 * @param {unknown} name */
export function plain(name, most = 80) {
  if (typeof name !== "string") return "";
  const text = name.replace(/[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu, ""), all = Array.from(text);
  if (all.length <= most) return text;
  let kept = "", left = most;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if ((left -= Array.from(segment).length) < 0) break;
    kept += segment;
  }
  return `${kept || all.slice(0, most).join("")}…`;
}

/** Tells a person's press on what the card shows now from every other: one that a script made, one that was meant for what lay
 * there before, a key held down. For CALM_MS after `hold`, and after the window comes to the front, no button and no link acts. */
export class Guard {
  #card;
  #calm = 0; #began = Infinity; // instants of now(): when presses count again; when the press that is under way began

  /** @param {Element} card */
  constructor(card) {
    this.#card = card;
    card.addEventListener("pointerdown", () => { this.#began = now(); }, true);
    card.addEventListener("keydown", (/** @type {any} */ { key, repeat }) => {
      if (key === "Enter" || (key === " " && !repeat)) this.#began = repeat ? 0 : now(); // Enter clicks as often as it repeats
    }, true);
    card.addEventListener("click", (event) => { // nor does a link lead away under the second click of two
      if (!this.#meant() && /** @type {Element} */ (event.target).closest("a")) event.preventDefault();
    }, true);
    for (const end of ["click", "pointercancel"]) card.addEventListener(end, () => { this.#began = Infinity; });
  }

  /** Until `signal`, whatever lay above this window counts, too: the second click of two may land here. @param {AbortSignal} signal */
  watch(signal) {
    window.addEventListener("focus", () => this.hold(), { signal });
    window.addEventListener("visibilitychange", () => hidden() || this.hold(), { signal });
  }

  hold() {
    const until = (this.#calm = now() + CALM_MS), buttons = this.#card.querySelectorAll("button");
    for (const button of buttons) button.setAttribute("aria-disabled", "true");
    setTimeout(() => until === this.#calm && buttons.forEach((button) => button.removeAttribute("aria-disabled")), CALM_MS);
  }

  /** The button, which now does this when a person means it. Nothing else comes of a click: a form is not sent.
   * @template {Element} B @param {B} button @param {() => void} act */
  on(button, act) {
    button.addEventListener("click", (event) => {
      event.preventDefault();
      if (event.isTrusted && this.#meant()) act();
    });
    return button;
  }

  #meant() { return Math.min(this.#began, now()) >= this.#calm; }
}

/** A path of this origin as a full URL, or "". Cutting the path out of the URL again would let "/..//host" escape. */
export function ownPath(/** @type {string | null} */ next) {
  if (!next || !/^\/(?![/\\])[^\\\s\u0000-\u001f\u007f-\u009f]*$/u.test(next)) return "";
  const url = new URL(next, location.origin);
  return url.origin === location.origin && !url.pathname.startsWith("//") ? url.href : "";
}

/** Where a path below the door that `src` names is. Throws a TypeError if that is not of this origin.
 * @param {Element} element @param {string} path */
export function doorUrl(element, path) {
  const src = element.getAttribute("src"), base = new URL(src ?? "", element.baseURI);
  if (!src || base.origin !== location.origin) throw new TypeError("src must be a path of this origin");
  return new URL(path, base.origin + base.pathname.replace(/\/?$/, "/"));
}

/** An absolute address, or null. URL.canParse and URL.parse are too new. @param {unknown} address */
export function parsed(address) {
  try {
    return new URL(String(address));
  } catch {
    return null;
  }
}

/** An address as a link may have it: absolute, http or https; else "". @param {unknown} address */
export function webAddress(address) {
  const url = parsed(address);
  return url && /^https?:$/.test(url.protocol) ? url.href : "";
}

/** Asks the door that `src` names; POSTs if there is a body. Throws a `Trouble` for everything but an answer that was wanted.
 * `ends` says which error codes or statuses are final, and the state that each leads to.
 * @param {Asking} element @param {string} path @param {object | null} body @param {AbortSignal} signal
 * @param {{patience?: number, ends: ReadonlyMap<unknown, string>, keepalive?: boolean}} how @returns {Promise<Answer>} */
export async function call(element, path, body, signal, { patience = PATIENCE_S, ends, keepalive = false }) {
  const headers = new Headers({ Accept: "application/json" }), cut = new AbortController(), abort = () => cut.abort();
  let url, response, answer;
  try {
    const csrf = element.getAttribute("csrf-header");
    url = doorUrl(element, path);
    if (body) headers.set("Content-Type", "application/json");
    if (body && csrf) headers.set(csrf, element.getAttribute("csrf-token") ?? "");
  } catch (error) {
    console.error(`<${element.localName}>`, error);
    throw new Trouble("refused", false);
  }
  const timer = setTimeout(abort, patience * 1000);
  signal.addEventListener("abort", abort);
  try {
    // Not mode "same-origin": from a page without referrer it sends "Origin: null". The URL is ours anyway.
    response = await element.request(url, {
      method: body ? "POST" : "GET", body: body && JSON.stringify(body), headers, signal: cut.signal, mode: "cors",
      credentials: "same-origin", redirect: "error", cache: "no-store", keepalive,
    });
    answer = Object.assign(Object.create(null), JSON.parse(await response.text())); // no prototype to be polluted
  } catch {
    if (signal.aborted) throw signal.reason; // anything else: no connection, or no JSON
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
  if (!response) throw new Trouble(navigator.onLine ? "unavailable" : "offline");
  if (response.ok && answer) return answer;
  const { ok, status } = response, end = status < 500 && (ends.get(answer?.error) ?? ends.get(status));
  const after = seconds(answer?.retry_after ?? response.headers.get("Retry-After"));
  if (end) throw new Trouble(end, false, after, String(answer?.error));
  throw new Trouble("unavailable", ok || status === 429 || status >= 500, Math.min(after, 120), String(answer?.error));
}
