/** @jsxImportSource preact */
import { render } from "preact";
import { useState } from "preact/hooks";

const phone = location.pathname.startsWith("/qr/"); // which of the two pages this is

function Page() {
  const [count, setCount] = useState(0), [there, setThere] = useState(true);
  const [heard, setHeard] = useState("");
  const onRedeemed = (event) => {
    event.preventDefault();
    setHeard(event.detail.body.token);
  };
  return <>
    {there && !phone && <qr-login src="/qrlogin/" start="manual" picture={false} next={null}
      csrfHeader={undefined} title={`rendered ${count}`}
      onqr-login-state={({ detail }) => setHeard(detail.state)}
      onqr-login-redeemed={onRedeemed} />}
    {there && phone && <qr-approve src="/qrlogin/phone/" at="/qr" typed={false} home={null}
      csrfHeader={undefined} code={null} account={count ? "Alice" : null}
      title={`rendered ${count}`} onqr-approve-state={({ detail }) => setHeard(detail.state)}
      onqr-approve-done={({ detail }) => setHeard(`done ${detail.decision}`)} />}
    <button id="rerender" onClick={() => setCount(count + 1)}>Render again</button>
    <button id="remount" onClick={() => setThere(!there)}>Mount or unmount</button>
    <output id="heard">{heard}</output>
  </>;
}

render(<Page />, document.getElementById("app"));
