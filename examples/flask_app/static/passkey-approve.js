/**
 * On the phone's page: "Yes" asks for a passkey before <qr-approve> confirms the login.
 * The server refuses a confirm without it (passkeys.py); this module only asks in time.
 */

import { usePasskey } from "/static/passkeys.js";

const PATIENCE_MS = 10_000;
const element = document.querySelector("qr-approve");
const { content, dataset: { title, text } } = document.querySelector("#passkey-approve");
let failed = false;

element.request = async (url, init) => {
  if (!url.pathname.endsWith("/confirm")) return fetch(url, init);
  try {
    failed = content === "none";
    if (!failed) await usePasskey("approve", JSON.parse(init.body));
  } catch (error) {
    console.warn(error); // the person cancelled, or the server refused the answer
    failed = true;
  }
  if (failed) return Response.json({ error: "wrong_state" }, { status: 409 });
  // A person may take longer for the passkey than the element waits for an answer.
  return fetch(url, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) });
};

// "moved" is the view of a confirm that is refused.
const texts = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(element), "texts").get;
Object.defineProperty(element, "texts", {
  get: () => ({ ...texts.call(element), ...(failed && { moved: title, movedText: text }) }),
});
