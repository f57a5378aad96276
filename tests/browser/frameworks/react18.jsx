import { StrictMode, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

const phone = location.pathname.startsWith("/qr/"); // which of the two pages this is

/** React 18 writes attributes as text and binds no custom events, so a ref binds them. */
function Login({ title, onState, onRedeemed }) {
  const ref = useRef(null);
  useEffect(() => {
    const element = ref.current;
    element.addEventListener("qr-login:state", onState);
    element.addEventListener("qr-login:redeemed", onRedeemed);
    return () => {
      element.removeEventListener("qr-login:state", onState);
      element.removeEventListener("qr-login:redeemed", onRedeemed);
    };
  });
  return <qr-login ref={ref} src="/qrlogin/" start="manual" picture={false} next={null}
    csrf-header={undefined} title={title} />;
}

/** The same for the phone's page. */
function Approve({ title, account, onState, onDone }) {
  const ref = useRef(null);
  useEffect(() => {
    const element = ref.current;
    element.addEventListener("qr-approve:state", onState);
    element.addEventListener("qr-approve:done", onDone);
    return () => {
      element.removeEventListener("qr-approve:state", onState);
      element.removeEventListener("qr-approve:done", onDone);
    };
  });
  return <qr-approve ref={ref} src="/qrlogin/phone/" at="/qr" typed={false} home={null}
    csrf-header={undefined} account={account} title={title} />;
}

function Page() {
  const [count, setCount] = useState(0), [there, setThere] = useState(true);
  const [heard, setHeard] = useState("");
  const onRedeemed = (event) => {
    event.preventDefault();
    setHeard(event.detail.body.token);
  };
  return <>
    {there && !phone && <Login title={`rendered ${count}`} onRedeemed={onRedeemed}
      onState={({ detail }) => setHeard(detail.state)} />}
    {there && phone && <Approve title={`rendered ${count}`}
      account={count ? "Alice" : null} onState={({ detail }) => setHeard(detail.state)}
      onDone={({ detail }) => setHeard(`done ${detail.decision}`)} />}
    <button id="rerender" onClick={() => setCount(count + 1)}>Render again</button>
    <button id="remount" onClick={() => setThere(!there)}>Mount or unmount</button>
    <output id="heard">{heard}</output>
  </>;
}

createRoot(document.getElementById("app")).render(<StrictMode><Page /></StrictMode>);
