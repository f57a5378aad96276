import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

function Page() {
  const [count, setCount] = useState(0), [there, setThere] = useState(true);
  const [heard, setHeard] = useState("");
  const onRedeemed = (event) => {
    event.preventDefault();
    setHeard(event.detail.body.token);
  };
  return <>
    {there && <qr-login src="/qrlogin/" start="manual" picture={false} next={null}
      csrfHeader={undefined} title={`rendered ${count}`}
      onqr-login-state={({ detail }) => setHeard(detail.state)}
      onqr-login-redeemed={onRedeemed} />}
    <button id="rerender" onClick={() => setCount(count + 1)}>Render again</button>
    <button id="remount" onClick={() => setThere(!there)}>Mount or unmount</button>
    <output id="heard">{heard}</output>
  </>;
}

createRoot(document.getElementById("app")).render(<StrictMode><Page /></StrictMode>);
