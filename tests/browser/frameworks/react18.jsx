import { StrictMode, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

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

function Page() {
  const [count, setCount] = useState(0), [there, setThere] = useState(true);
  const [heard, setHeard] = useState("");
  const onRedeemed = (event) => {
    event.preventDefault();
    setHeard(event.detail.body.token);
  };
  return <>
    {there && <Login title={`rendered ${count}`} onRedeemed={onRedeemed}
      onState={({ detail }) => setHeard(detail.state)} />}
    <button id="rerender" onClick={() => setCount(count + 1)}>Render again</button>
    <button id="remount" onClick={() => setThere(!there)}>Mount or unmount</button>
    <output id="heard">{heard}</output>
  </>;
}

createRoot(document.getElementById("app")).render(<StrictMode><Page /></StrictMode>);
