/**
 * The browser's side of passkeys.py. Each button with `data-passkey` names a purpose, and
 * `data-next` the page that follows. A button stays hidden where the browser has no passkeys.
 */

const token = document.querySelector("meta[name=csrf-token]")?.content ?? "";

/** Sends JSON to this site. Returns the JSON of the answer, or throws. */
async function post(path, body) {
  const answer = await fetch(`/passkeys/${path}`, {
    method: "POST", credentials: "same-origin", redirect: "error",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** Whether this browser can do what this module needs. */
export const supported = Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);

/** Asks for a passkey, for this purpose. Returns when the server accepts its answer, or throws. */
export async function usePasskey(purpose, about = {}) {
  const options = await post(`options/${purpose}`, about);
  const credential = purpose === "create"
    ? await navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
    : await navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  return post(`answers/${purpose}`, credential.toJSON());
}

for (const button of document.querySelectorAll("button[data-passkey]")) {
  const said = document.getElementById(button.getAttribute("aria-describedby"));
  const say = (text) => { said.hidden = !text; said.textContent = text; };
  if (!supported) say(said.dataset.unsupported);
  else button.hidden = false;
  let busy = false;
  button.addEventListener("click", async () => {
    if (busy) return;
    busy = true;
    say("");
    try {
      await usePasskey(button.dataset.passkey);
      location.assign(button.dataset.next);
    } catch (error) {
      console.warn(error); // the person cancelled, there is no passkey, or the server refused
      say(said.dataset.failed);
    }
    busy = false;
  });
}
