/**
 * The gallery: every state of <qr-login> and <qr-approve> on one page, for people who theme or
 * translate.
 *
 * The elements are the real ones. Their `request` answers with canned JSON, so no request leaves
 * the page and no login exists. Some states need a press, which no script can make, or a frame or
 * a browser without a network. The card, which draws every state of an element, shows these alone.
 */

import "/qrlogin/qr-approve-element.js";
import "/qrlogin/qr-login-element.js";
import { Card as ApproveCard } from "/qrlogin/qr-approve-card.js";
import { Card as LoginCard } from "/qrlogin/qr-login-card.js";
import { outdated } from "/qrlogin/qr-login-parts.js";
import { languageIsThere, textsFor } from "/qrlogin/qr-login-texts.js";

await languageIsThere(document.body);

const main = document.querySelector("main"), texts = textsFor(document.body, "pages");
const HERE = location.pathname;
const LASTS_S = 120, ASKS_S = 3600; // a status starts its time again, a question does not
const NEVER = new Promise(() => {}); // the answer to a request that stays open
const nothing = () => {};

const refusal = (status, error = "", more = {}) => ({ status, error, ...more });
const UNAVAILABLE = refusal(503, "unavailable", { retry_after: 60 }); // not retried at once

// What the server answers. The key is the state that it leads to, with a dot before a variant.

const CODE = {
  qr: { size: Number(main.dataset.size), path: main.dataset.path, id: "gallery-code" },
  verification_uri_complete: location.origin + HERE, rotates_in: LASTS_S,
};
const TYPED = { user_code: "WDJB-MJHT", verification_uri: `${location.origin}/qr` };
const MASKED = "A\u2022\u2022\u2022e", PENDING = { state: "pending" };
const scanned = (more = {}) =>
  ({ state: "scanned", scanned_by: { shown_as: MASKED, tag: "tag" }, ...more });
const confirmed = (name) =>
  ({ state: "confirmed", scanned_by: { shown_as: MASKED, tag: "tag", name } });
const ended = (error) => ({ status: [refusal(409, error)] });

/** `begin` is the answer to that call, and `status` the answers to the next ones. The last is
 * repeated. Without an object, the card shows the state alone. */
const LOGIN = {
  idle: { attributes: { start: "manual" } },
  starting: { begin: NEVER },
  pending: {}, "pending.typed": { begin: TYPED },
  scanned: { status: [scanned()] }, "scanned.digits": { status: [scanned({ match_code: "42" })] },
  confirmed: { status: [confirmed("Alice")] },
  "confirmed.short": { status: [confirmed()] },
  "confirmed.odd": { status: [confirmed("Al\u0456ce")] },
  redeeming: null, redeemed: null,
  denied: ended("denied"), cancelled: ended("cancelled"), expired: ended("expired"),
  "expired.scanned": { status: [scanned(), refusal(409, "expired")] },
  "expired.confirmed": { status: [confirmed("Alice"), refusal(409, "expired")] },
  superseded: ended("superseded"), used: ended("already_redeemed"), unknown: ended("unknown_login"),
  forgotten: { status: [PENDING, refusal(404, "unknown_login")] },
  offline: null, unavailable: { begin: UNAVAILABLE }, refused: { begin: refusal(404) },
  paused: { begin: refusal(503, "paused") },
  stale: { status: [refusal(403)] },
};

const CONTEXT = { browser: "Firefox 140", system: "Windows 11", place: "Utrecht",
  address: "203.0.113.7" };
const asked = (more = {}) => ({ look: {
  state: "pending", expires_in: ASKS_S, begun_ago: 70, context: CONTEXT, ...more } });
const answered = (outcome) => ({ ...asked({ state: "confirmed" }), outcome });
const refused = (...more) => ({ look: refusal(...more) });

/** `look` and `outcome` are the answers to these calls. `view` completes what the card shows. */
const APPROVE = {
  framed: null, found: { code: "WDJBMJHT" }, typing: { code: "", attributes: { typed: "" } },
  aim: { code: "" }, looking: { look: NEVER },
  ask: asked(), "ask.known": asked({ known_browser: true }),
  "ask.never": asked({ known_browser: false }),
  sending: null, match: { view: { digits: 2 } }, mismatched: null,
  approved: answered(), redeemed: asked({ state: "redeemed" }),
  uncollected: answered({ state: "expired" }), over: answered(refusal(404, "unknown_login")),
  denied: refused(409, "denied"), stopped: null, released: null,
  expired: refused(409, "expired"), gone: refused(404, "unknown_login"),
  taken: refused(409, "already_scanned"), cancelled: refused(409, "cancelled"),
  used: refused(409, "already_redeemed"), late: null, moved: refused(409, "wrong_state"),
  short: asked({ expires_in: 10 }), guesses: refused(429, "too_many_guesses", { retry_after: 300 }),
  signin: refused(401, "unauthenticated"), stale: null, offline: null,
  unavailable: { look: UNAVAILABLE }, refused: refused(404),
  blocked: refused(403, "denied_by_site", { words: texts.demoNothingReal }),
  stepup: refused(403, "step_up_needed", { step_up_uri: HERE }),
  "stepup.elsewhere": refused(403, "step_up_needed", { step_up_uri: "https://login.example/" }),
};

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)));
  });
}

async function reply(answer, more) {
  const { status = 200, ...body } = await answer;
  return new Response(JSON.stringify({ ...more, ...body }), { status });
}

/** The server of one <qr-login>. */
function loginServer(id, { begin = {}, status = [PENDING] }) {
  const always = { login_id: id, version: 1, expires_in: LASTS_S, ...PENDING, ...CODE };
  let given = 0;
  return async (url, { signal }) => {
    const [call] = url.pathname.split("/").slice(-1), asking = url.searchParams;
    if (call === "begin") given = 0;
    if (call === "begin") return reply(begin, always);
    if (call === "redeem") return reply({ state: "redeemed" }, always);
    if (call === "cancel") return reply({ state: "cancelled" }, always);
    if (given === status.length) await pause(1000 * asking.get("wait"), signal);
    given = Math.min(given + 1, status.length);
    return reply(status[given - 1], { ...always, version: given + 1, echo: asking.get("echo") });
  };
}

/** The server of one <qr-approve>. */
function phoneServer(id, answers) {
  const states = { scan: "scanned", confirm: "confirmed", deny: "denied", release: "pending" };
  return async (url) => {
    const [call] = url.pathname.split("/").slice(-1);
    const answer = answers[call] ?? { state: states[call] ?? "confirmed" };
    return reply(answer, { login_id: id, expires_in: ASKS_S });
  };
}

/** A card without its element, in the place of which it is. */
class Still extends HTMLElement {
  get texts() { return textsFor(this, this.dataset.section); }

  connectedCallback() {
    const { section } = this.dataset, state = this.getAttribute("state");
    const Card = section === "login" ? LoginCard : ApproveCard;
    const card = new Card(this, nothing, nothing, nothing);
    if (section === "login") {
      card.watch(new AbortController().signal, nothing);
      return card.show(state, MASKED, []);
    }
    card.dress();
    card.show(state, { typedCode: "", context: CONTEXT, claimed: true, retryAfter: 0, words: "",
      stepUp: "", first: true, digits: 0, ...APPROVE[state]?.view });
    if (state === "match") card.showTimes(ASKS_S, 0);
  }
}
customElements.define("gallery-still", Still);
for (const section of ["login", "approve"])
  customElements.define(`outdated-${section}`,
    outdated((element) => textsFor(element, section).outdated, languageIsThere));

function element(section, key, answers) {
  const [state] = key.split("."), real = answers && !answers.view, id = `gallery-${section}-${key}`;
  const made = document.createElement(real ? `qr-${section}` : "gallery-still");
  if (real) {
    const server = section === "login" ? loginServer : phoneServer;
    made.request = server(id.replace(".", "-"), answers);
    if (section === "approve") made.code = answers.code ?? "a.code.of.the.gallery";
  } else {
    made.dataset.section = section;
    made.setAttribute("state", state);
  }
  const own = section === "login" ? {}
    : { at: HERE, account: "Alice", site: texts.siteName, home: HERE };
  const attributes = { src: `/gallery/${section}/${key}/`, ...own, ...answers?.attributes };
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function figure(key, shown) {
  const made = document.createElement("figure"), caption = document.createElement("figcaption");
  made.dataset.shows = key;
  caption.append(key.replace(".", ", "));
  caption.dir = "ltr";
  made.append(caption, shown);
  return made;
}

function gallery(section, all) {
  const made = document.createElement("section"), heading = document.createElement("h2");
  heading.append(`<qr-${section}>`);
  heading.dir = "ltr";
  made.append(heading, ...Object.entries(all).map(([key, answers]) =>
    figure(key, element(section, key, answers))));
  made.append(figure("outdated", document.createElement(`outdated-${section}`)));
  return made;
}

for (const select of document.querySelectorAll("select"))
  select.addEventListener("change", () => select.form.requestSubmit());
for (const option of document.querySelectorAll("[name=lang] option"))
  option.text = new Intl.DisplayNames(option.value, { type: "language" }).of(option.value);
// A login that a press completes would load the page again.
main.addEventListener("qr-login:redeemed", (event) => event.preventDefault());
// The elements take the focus only if nothing has it.
main.querySelector("h1").focus({ preventScroll: true });
main.append(gallery("login", LOGIN), gallery("approve", APPROVE));
