/**
 * The demo's phone. Opening it changes nothing: a code is scanned when a person says so, and approved when they say so again.
 *
 * Knows: whose phone it is (a bearer token in sessionStorage), and the code in the address or in a form, as text that only
 * the server can read; if it is short enough to be typed, it is shown again, to be compared (RFC 8628 section 3.3.1).
 * Refuses to know: cookies, and what the browser on the other side does.
 */

const CALM_MS = 500; // a tap that was meant for the screen before is no answer
const KEPT = "qrlogin-demo-phone";

/** What a person reads at the end: mark, title, text, and which ways on there are. */
const ENDS = {
  confirmed: ["good", "Approved", "Now look at the other screen: it goes on, or asks first whether to continue as {shown}.", "deny"],
  redeemed: ["good", "Done before", "You approved this, and the browser is logged in."],
  denied: ["bad", "Denied", "Nobody was logged in, and this code is of no use any more."],
  pending: ["quiet", "Put back", "You decided nothing. The code may be scanned again, by anybody.", "rescan"],
  expired: ["quiet", "This code has expired", "Codes change every few seconds. Scan the one that is on the screen now."],
  already_scanned: ["bad", "Somebody else scanned this code", "Another account was first. If it is your screen, ask it for a new code."],
  cancelled: ["quiet", "Cancelled in the browser", "Whoever sits there gave this login up, or said that it is not theirs."],
  already_redeemed: ["quiet", "This login is over", "It was used already."],
  wrong_state: ["quiet", "Not waiting for you any more", "This login has moved on since. Scan it again to see where it stands.", "rescan"],
  unknown_login: ["bad", "This code is not known here", "It is mistyped or of another site, or somebody else holds its login now."],
  too_many_guesses: ["bad", "Too many wrong codes", "Wait {wait} before you type another one. The QR code of a login page still works."],
  offline: ["bad", "No answer", "The demo is out of reach. Nothing may have happened.", "again"],
};
const MARKS = { good: "✓", bad: "✕", quiet: "–" };
const HINT = { "#nothing-phone-window": "No login page of this browser waits for a phone.", "#nothing-terminal": "No code waits in the terminal." }[location.hash];
const LABELS = { address: "Address", client_id: "Application", scope: "It asks for" };
const MOST_TYPED = 12; // letters and digits: all that could be a code to type, and nothing that is signed

const at = (selector, root = document) => root.querySelector(selector);
const all = (selector) => document.querySelectorAll(selector);

let phone = recall();
let code = found();
let last = null; // the call whose answer did not come
let clock;

/** What the address carries. */
function found() {
  if (location.pathname.startsWith("/qr/")) return location.origin + location.pathname;
  return new URLSearchParams(location.search).get("user_code") ?? "";
}

/** The code if a person could have typed it, in halves as the other screen shows it; else "". */
function typed() {
  const bare = code.startsWith(`${location.origin}/qr/`) ? code.slice(location.origin.length + 4) : code;
  const letters = bare.replace(/[^\p{L}\p{N}]/gu, "");
  return letters.length > MOST_TYPED ? "" : letters.length === 8 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : bare;
}

function recall() {
  try { return JSON.parse(sessionStorage.getItem(KEPT)); } catch { return null; }
}

function keep(unlocked) {
  phone = unlocked;
  try { phone ? sessionStorage.setItem(KEPT, JSON.stringify(phone)) : sessionStorage.removeItem(KEPT); } catch { /* private mode: this page only */ }
}

/** The answer, or one that says "offline". */
async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (phone) headers.Authorization = `Bearer ${phone.token}`;
  try {
    const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit", cache: "no-store" });
    const answer = await response.json();
    return response.status >= 500 ? { error: "offline" } : answer;
  } catch {
    return { error: "offline" };
  }
}

async function unlock(account) {
  const unlocked = await post("/demo/phone", { name: account });
  if (unlocked.token) keep(unlocked);
  return Boolean(unlocked.token);
}

/** One of scan, confirm, deny, release; then the screen that its answer asks for. */
async function act(name) {
  busy(true);
  last = name;
  const answer = await post(`/qrlogin/phone/${name}`, { code });
  busy(false);
  if (answer.error === "unauthenticated") {
    keep(null);
    return start("The demo has begun anew since. Whose phone is this?");
  }
  if (name === "scan" && answer.state === "scanned") return ask(answer);
  if (answer.error === "unknown_login" && !at("[data-view=type]").hidden) return mistyped();
  end(answer.error ?? answer.state, answer.retry_after);
}

function busy(on) {
  for (const button of all("button")) button.toggleAttribute("disabled", on);
}

// -- screens

function show(name, note = "") {
  clearInterval(clock);
  for (const view of all("[data-view]")) view.hidden = view.dataset.view !== name;
  const view = at(`[data-view=${name}]`);
  const told = at(".note", view);
  if (told) told.textContent = note;
  at("#owner").hidden = at("#switch").hidden = !phone;
  at("#nobody").hidden = Boolean(phone);
  if (phone) {
    at("#owner .face").textContent = phone.name[0];
    at("#owner .face").dataset.person = phone.account;
    at("#owner .name").textContent = `${phone.name}’s phone`;
  }
  at("h1", view).focus();
  return view;
}

function start(note = "") {
  if (!code) return show(!phone ? "who" : location.pathname === "/qr" ? "type" : "aim", note);
  const view = show("found", note);
  at(".compare", view).hidden = !typed();
  at(".code", view).textContent = typed();
  for (const button of view.querySelectorAll("[data-account]")) button.hidden = Boolean(phone) && button.dataset.account !== phone.account;
  at(".site", view).textContent = location.host;
  const server = code.startsWith(location.origin) ? "" : `--server ${location.origin} `;
  at(".command", view).textContent = `python -m qrlogin phone ${server}--as ${phone?.account ?? "alice"} approve ${code}`;
  at("details", view).hidden = Boolean(server) && !/^\w[\w-]*$/.test(code); // what is shown may be pasted into a shell
}

function mistyped() {
  show("type", "No login waits with this code. Compare it with the screen, letter by letter.");
  at("#typed").setAttribute("aria-invalid", "true");
  at("#typed").focus();
  at("#typed").select();
  code = "";
}

function ask(scanned) {
  const view = show("ask");
  at(".name", view).textContent = phone.name;
  at(".what", view).textContent = typed() ? "device" : "browser";
  at(".code", view).textContent = typed();
  at(".code", view).hidden = !typed();
  for (const warning of view.querySelectorAll("[data-typed]")) warning.hidden = (warning.dataset.typed === "true") !== Boolean(typed());
  const { browser = "says nothing of itself", ...context } = scanned.context ?? {};
  const facts = [["Browser", browser], ...Object.entries(context).map(([key, value]) => [LABELS[key] ?? key, value])];
  facts.push(["Site", location.host], ["Begun", ago(scanned.begun_ago)]);
  at(".facts", view).replaceChildren(...facts.flatMap(([label, value]) => [make("dt", label), make("dd", value)]));
  const choices = view.querySelectorAll("[data-act]");
  for (const button of choices) button.setAttribute("aria-disabled", "true");
  setTimeout(() => choices.forEach((button) => button.removeAttribute("aria-disabled")), CALM_MS);
  const deadline = performance.now() + scanned.expires_in * 1000;
  clock = setInterval(() => performance.now() > deadline && end("expired"), 500);
}

function end(state, seconds = 0) {
  const [mark, title, text, way] = ENDS[state] ?? ENDS.wrong_state;
  const view = show("end");
  at(".mark", view).textContent = MARKS[mark];
  at(".mark", view).dataset.mark = mark;
  at("h1", view).textContent = title;
  at(".told", view).textContent = text.replace("{shown}", phone?.shown_as ?? "you").replace("{wait}", span(seconds));
  for (const button of view.querySelectorAll("[data-act]")) button.hidden = button.dataset.act !== way;
  at("a", view).hidden = way === "again" || state === "confirmed";
}

function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function span(seconds) {
  return seconds <= 60 ? "a minute" : `${Math.ceil(seconds / 60)} minutes`;
}

function ago(seconds) {
  if (!(seconds >= 1)) return "just now";
  if (seconds < 60) return seconds === 1 ? "1 second ago" : `${seconds} seconds ago`;
  return seconds < 120 ? "1 minute ago" : `${Math.floor(seconds / 60)} minutes ago`;
}

// -- a person acts

for (const button of all("[data-account]")) {
  button.addEventListener("click", async () => {
    busy(true);
    const open = phone?.account === button.dataset.account || (await unlock(button.dataset.account));
    busy(false);
    if (!open) start("The demo does not answer. Is it still running?");
    else code ? act("scan") : start(HINT);
  });
}
for (const button of all("[data-act]")) {
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    const { act: name } = button.dataset;
    act(name === "again" ? last : name === "rescan" ? "scan" : name);
  });
}
at("#switch").addEventListener("click", () => {
  keep(null);
  start();
});
at(".paste").addEventListener("submit", (event) => {
  event.preventDefault();
  code = at("#text").value.trim();
  if (code) start();
});
at(".typing").addEventListener("submit", (event) => {
  event.preventDefault();
  code = at("#typed").value.trim();
  at("#typed").removeAttribute("aria-invalid");
  if (code) act("scan");
});

start(HINT);
