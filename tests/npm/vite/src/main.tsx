import { useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { type LoginRedeemed, type QRLoginElement, TEXTS } from "qrlogin-elements";
import "qrlogin-elements/react";

Object.assign(TEXTS.de.login, { pending: "Bitte scannen" });

function Page() {
  const login = useRef<QRLoginElement>(null);
  const [state, setState] = useState<QRLoginElement["state"]>("");
  const onRedeemed = (event: CustomEvent<LoginRedeemed>) => setState(event.detail.login_id ? "redeemed" : "");
  return <>
    <qr-login ref={login} src="/qrlogin/" next="/account" csrfToken="x" picture={false}
      onqr-login-state={({ detail }) => setState(detail.state)} onqr-login-redeemed={onRedeemed}>
      <a href="/password">Password</a>
    </qr-login>
    <qr-approve src="/qrlogin/phone/" at="/qr" hidden
      onqr-approve-done={({ detail }) => console.log(detail.decision satisfies "approved" | "denied" | "released")} />
    <button onClick={() => login.current?.begin()}>New code</button>
    <output>{state}</output>
  </>;
}
createRoot(document.getElementById("app")!).render(<Page />);

document.addEventListener("qr-login:state", () => {});
const found = document.querySelector("qr-login");
const source: string | undefined = found?.src;
found?.addEventListener("qr-login:redeemed", ({ detail }) => console.log(detail.body, source));
// @ts-expect-error: there is no such property
found?.source;
