import { Show, createSignal } from "solid-js";
import html from "solid-js/html";
import { render } from "solid-js/web";

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
  return html`<${Show} when=${there}>${login}<//>
    <button id="rerender" onClick=${() => setCount(count() + 1)}>Render again</button>
    <button id="remount" onClick=${() => setThere(!there())}>Mount or unmount</button>
    <output id="heard">${heard}</output>`;
}

render(Page, document.getElementById("app"));
