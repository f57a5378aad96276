import { Show, createSignal } from "solid-js";
import html from "solid-js/html";
import { render } from "solid-js/web";

const phone = location.pathname.startsWith("/qr/"); // which of the two pages this is

function Page() {
  const [count, setCount] = createSignal(0), [there, setThere] = createSignal(true);
  const [heard, setHeard] = createSignal("");
  const onRedeemed = (event) => {
    event.preventDefault();
    setHeard(event.detail.body.token);
  };
  const login = () => html`<qr-login src="/qrlogin/" start=${() => "manual"}
    picture=${() => false} next=${() => null} csrfHeader=${() => undefined}
    title=${() => `rendered ${count()}`}
    on:qr-login-state=${({ detail }) => setHeard(detail.state)}
    on:qr-login-redeemed=${onRedeemed}></qr-login>`;
  const approve = () => html`<qr-approve src="/qrlogin/phone/" at="/qr" typed=${() => false}
    home=${() => null} csrfHeader=${() => undefined} prop:code=${() => null}
    account=${() => count() ? "Alice" : null} title=${() => `rendered ${count()}`}
    on:qr-approve-state=${({ detail }) => setHeard(detail.state)}
    on:qr-approve-done=${({ detail }) => setHeard(`done ${detail.decision}`)}></qr-approve>`;
  return html`<${Show} when=${there}>${phone ? approve : login}<//>
    <button id="rerender" onClick=${() => setCount(count() + 1)}>Render again</button>
    <button id="remount" onClick=${() => setThere(!there())}>Mount or unmount</button>
    <output id="heard">${heard}</output>`;
}

render(Page, document.getElementById("app"));
