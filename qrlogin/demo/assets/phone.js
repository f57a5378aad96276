/**
 * The demo's phone: <qr-approve> and what makes it a demo. Whose phone it is can be chosen, and a code be scanned without a camera.
 *
 * Knows: whose phone it is (a bearer token in sessionStorage) and sends it along. Refuses to know: cookies, the question that
 * <qr-approve> asks, and what the browser on the other side does.
 */

import { QRApproveElement } from "/qrlogin/qr-approve-element.js";
import { textsFor } from "/qrlogin/qr-login-texts.js";

const KEPT = "qrlogin-demo-phone";
const SHELL_SAFE = /^[\w.:/?=-]+$/; // what is shown may be pasted into a shell

const at = (selector, root = document) => root.querySelector(selector);
const all = (selector) => document.querySelectorAll(selector);
const texts = textsFor(document.body, "pages");

const nothing = { "#nothing-phone-window": texts.demoNothingDesk, "#nothing-terminal": texts.demoNothingTerminal }[location.hash] ?? "";
let phone = recall();
let pasted = "";

customElements.define("demo-approve", class extends QRApproveElement {
  request(url, init) {
    const headers = new Headers(init.headers);
    if (phone) headers.set("Authorization", `Bearer ${phone.token}`);
    return fetch(url, { ...init, headers, credentials: "omit" });
  }
});
const approve = at("demo-approve");

function recall() {
  try { return JSON.parse(sessionStorage.getItem(KEPT)); } catch { return null; }
}

function keep(unlocked) {
  phone = unlocked;
  try { phone ? sessionStorage.setItem(KEPT, JSON.stringify(phone)) : sessionStorage.removeItem(KEPT); } catch { /* private mode: this page only */ }
}

async function unlock(name) {
  const headers = { "Content-Type": "application/json" };
  const asked = { method: "POST", headers, body: JSON.stringify({ name }), credentials: "omit", cache: "no-store" };
  const unlocked = await fetch("/demo/phone", asked).then((response) => response.json()).catch(() => ({}));
  if (unlocked.token) keep(unlocked);
  return Boolean(unlocked.token);
}

function show(name, note = "") {
  for (const view of all("[data-view]")) view.hidden = view.dataset.view !== name;
  const view = at(`[data-view=${name}]`), told = at(".note", view);
  if (told) told.textContent = note;
  at("#owner").hidden = at("#switch").hidden = !phone;
  at("#nobody").hidden = Boolean(phone);
  if (phone) {
    at("#owner .face").textContent = phone.name[0];
    at("#owner .face").dataset.person = phone.account;
    at("#owner .name").textContent = texts.demoPhoneOf.replace("{name}", phone.name);
    approve.setAttribute("account", phone.name);
  }
  if (name === "code") approve.start();
  else at("h1", view).focus();
}

function start(note = "") {
  show(!phone ? "who" : location.pathname === "/phone" && !pasted ? "aim" : "code", note);
}

/** The same for a phone in a terminal. */
function hint() {
  const address = location.pathname.startsWith("/qr/") ? location.origin + location.pathname : "";
  const code = pasted || address || (new URLSearchParams(location.search).get("user_code") ?? "");
  const server = code.startsWith(location.origin) ? "" : `--server ${location.origin} `;
  at(".command").textContent = `python -m qrlogin phone ${server}--as ${phone?.account} approve ${code}`;
  at("details").hidden = approve.state !== "found" || !SHELL_SAFE.test(code);
}

for (const button of all("[data-account]")) {
  button.addEventListener("click", async () => {
    for (const each of all("[data-account]")) each.disabled = true;
    const open = await unlock(button.dataset.account);
    for (const each of all("[data-account]")) each.disabled = false;
    start(open ? nothing : texts.demoNoAnswer);
  });
}
at("#switch").addEventListener("click", () => {
  keep(null);
  start();
});
at(".paste").addEventListener("submit", (event) => {
  event.preventDefault();
  pasted = at("#text").value.trim();
  if (!pasted) return;
  approve.code = pasted;
  start();
});
approve.addEventListener("qr-approve:state", ({ detail: { state } }) => {
  hint();
  if (state !== "signin") return;
  keep(null);
  start(texts.demoBegunAnew);
});

start(nothing);
