/**
 * On the phone's page: "Yes" asks for a passkey before <qr-approve> confirms the login. This module
 * only asks in time: the server refuses a confirm without it, and says why (passkeys.py).
 */

import { usePasskey } from "/static/passkeys.js";

const PATIENCE_MS = 10_000;
const element = document.querySelector("qr-approve");
let hasPasskey = document.querySelector("#passkey-approve").content === "approve";

element.request = async (url, init) => {
  if (!url.pathname.endsWith("/confirm")) return fetch(url, init);
  if (!hasPasskey) {
    const answer = await fetch(url, init);
    hasPasskey = !answer.ok; // the server's answer leads to the page that creates one
    return answer;
  }
  try {
    await usePasskey("approve", JSON.parse(init.body));
  } catch (error) {
    console.warn(error); // the person cancelled, or the server refused the answer
  }
  // A person may take longer for the passkey than the element waits for an answer.
  const timeout = new AbortController();
  setTimeout(() => timeout.abort(), PATIENCE_MS); // AbortSignal.timeout is too new
  return fetch(url, { ...init, signal: timeout.signal });
};
