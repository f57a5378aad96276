/**
 * The demo's phone: <qr-approve>, with a choice of accounts and ways to scan without a camera.
 *
 * It keeps the bearer token of a phone in sessionStorage, and sends it with each request. It knows
 * nothing of the question that <qr-approve> asks, and of the browser on the other side.
 */

import { QRApproveElement } from "/qrlogin/qr-approve-element.js";
import { languageIsThere, textsFor } from "/qrlogin/qr-login-texts.js";

await languageIsThere(document.body);

const STORAGE_KEY = "qrlogin-demo-phone";
const SHELL_SAFE = /^[\w.:/?=-]+$/; // users paste the command into a shell

const at = (selector, root = document) => root.querySelector(selector);
const all = (selector) => document.querySelectorAll(selector);
const texts = textsFor(document.body, "pages");

const note = {
  "#nothing-phone-window": texts.demoNothingDesk,
  "#nothing-terminal": texts.demoNothingTerminal,
}[location.hash] ?? "";
let phone = recall();
let pasted = "";

class DemoApprove extends QRApproveElement {
  request(url, init) {
    init.headers.set("Authorization", `Bearer ${phone?.token}`);
    return fetch(url, init);
  }
}
const approve = at("demo-approve");

function recall() {
  try { return JSON.parse(sessionStorage.getItem(STORAGE_KEY)); } catch { return null; }
}

function keep(unlocked) {
  phone = unlocked;
  try {
    if (phone) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(phone));
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch { /* private mode: only this page knows it */ }
}

async function unlock(name) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ name });
  const init = { method: "POST", headers, body, credentials: "omit", cache: "no-store" };
  const unlocked = await fetch("/demo/phone", init)
    .then((response) => response.json())
    .catch(() => ({}));
  if (unlocked.token) keep(unlocked);
  return Boolean(unlocked.token);
}

function show(name, note = "") {
  for (const view of all("[data-view]")) view.hidden = view.dataset.view !== name;
  const view = at(`[data-view=${name}]`), status = at(".note", view);
  if (status) status.textContent = note;
  at("#owner").hidden = at("#switch").hidden = !phone;
  at("#no-account").hidden = Boolean(phone);
  if (phone) {
    at("#owner .face").textContent = phone.name[0];
    at("#owner .face").dataset.person = phone.account;
    at("#owner .name").textContent = texts.demoPhoneOf.replace("{name}", phone.name);
    approve.setAttribute("account", phone.name);
  }
  if (name !== "code") at("h1", view).focus();
  else if (customElements.get("demo-approve")) approve.start();
  else customElements.define("demo-approve", DemoApprove); // from now on it sends requests
}

function start(note = "") {
  show(!phone ? "who" : location.pathname === "/phone" && !pasted ? "aim" : "code", note);
}

/** Shows the command that does the same in a terminal. */
function showCommand() {
  const address = location.pathname.startsWith("/qr/") ? location.origin + location.pathname : "";
  const code = pasted || address || (new URLSearchParams(location.search).get("user_code") ?? "");
  const server = code.startsWith(location.origin) ? "" : `--server ${location.origin} `;
  const command = `${server}--as ${phone?.account} approve ${code}`;
  at(".command").textContent = `python -m qrlogin phone ${command}`;
  at("details").hidden = !["found", "ask"].includes(approve.state) || !SHELL_SAFE.test(code);
}

for (const button of all("[data-account]")) {
  button.addEventListener("click", async () => {
    for (const other of all("[data-account]")) other.disabled = true;
    const open = await unlock(button.dataset.account);
    for (const other of all("[data-account]")) other.disabled = false;
    start(open ? note : texts.demoNoAnswer);
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
  showCommand();
  if (state !== "signin" || !phone) return;
  keep(null);
  start(texts.demoBegunAnew);
});

start(note);
