/**
 * The demo's phone. Opening it changes nothing: a code is scanned when a person says so, and approved when they say so again.
 *
 * Knows: whose phone it is (a bearer token in sessionStorage), and the code in the address or in the form, as text that only
 * the server can read. Refuses to know: cookies, and what the browser on the other side does.
 */

const CALM_MS = 500; // a tap that was meant for the screen before is no answer
const KEPT = "qrlogin-demo-phone";

/** What a person reads at the end: mark, title, text, and which ways on there are. */
const ENDS = {
  confirmed: ["good", "Approved", "Now look at the other screen: it asks whether to continue as {shown}. Only then is it logged in.", "deny"],
  redeemed: ["good", "Done before", "You approved this, and the browser is logged in."],
  denied: ["bad", "Denied", "Nobody was logged in, and this code is of no use any more."],
  pending: ["quiet", "Put back", "You decided nothing. The code may be scanned again, by anybody.", "rescan"],
  expired: ["quiet", "This code has expired", "Codes change every few seconds. Scan the one that is on the screen now."],
  already_scanned: ["bad", "Somebody else scanned this code", "Another account was first. If it is your screen, ask it for a new code."],
  cancelled: ["quiet", "Cancelled in the browser", "Whoever sits there gave this login up, or said that it is not theirs."],
  already_redeemed: ["quiet", "This login is over", "It was used already."],
  wrong_state: ["quiet", "Not waiting for you any more", "This login has moved on since. Scan it again to see where it stands.", "rescan"],
  unknown_login: ["bad", "This code is not known here", "It is mistyped or of another site, or somebody else holds its login now."],
  offline: ["bad", "No answer", "The demo is out of reach. Nothing may have happened.", "again"],
};
const MARKS = { good: "✓", bad: "✕", quiet: "–" };
const HINT = { "#nothing-phone-window": "No login page of this browser waits for a phone.", "#nothing-terminal": "No code waits in the terminal." }[location.hash];
const LABELS = { address: "Address" };

const at = (selector, root = document) => root.querySelector(selector);
const all = (selector) => document.querySelectorAll(selector);

let phone = recall();
let code = location.pathname.startsWith("/qr/") ? location.href.split("#")[0] : "";
let last = null; // the call whose answer did not come
let clock;

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
  end(answer.error ?? answer.state);
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
  if (!code) return phone ? show("aim", note) : show("who", note);
  const view = show("found", note);
  for (const button of view.querySelectorAll("[data-account]")) button.hidden = Boolean(phone) && button.dataset.account !== phone.account;
  at(".site", view).textContent = location.host;
  at(".command", view).textContent = `python -m qrlogin phone --as ${phone?.account ?? "alice"} approve ${code}`;
  at("details", view).hidden = !code.startsWith(location.origin);
}

function ask(scanned) {
  const view = show("ask");
  at(".name", view).textContent = phone.name;
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

function end(state) {
  const [mark, title, text, way] = ENDS[state] ?? ENDS.wrong_state;
  const view = show("end");
  at(".mark", view).textContent = MARKS[mark];
  at(".mark", view).dataset.mark = mark;
  at("h1", view).textContent = title;
  at(".told", view).textContent = text.replace("{shown}", phone?.shown_as ?? "you");
  for (const button of view.querySelectorAll("[data-act]")) button.hidden = button.dataset.act !== way;
  at("a", view).hidden = way === "again" || state === "confirmed";
}

function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
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

start(HINT);
