import { LitElement, html, nothing } from "lit";

class Page extends LitElement {
  static properties = { count: {}, there: {}, heard: {} };

  constructor() {
    super();
    Object.assign(this, { count: 0, there: true, heard: "" });
  }

  createRenderRoot() { return this; }

  onRedeemed(event) {
    event.preventDefault();
    this.heard = event.detail.body.token;
  }

  render() {
    return html`${this.there ? html`<qr-login src="/qrlogin/" .start=${"manual"} ?picture=${false}
        next=${nothing} .csrfHeader=${undefined} title=${`rendered ${this.count}`}
        @qr-login:state=${({ detail }) => { this.heard = detail.state; }}
        @qr-login-redeemed=${this.onRedeemed}></qr-login>` : nothing}
      <button id="rerender" @click=${() => this.count++}>Render again</button>
      <button id="remount" @click=${() => { this.there = !this.there; }}>Mount or unmount</button>
      <output id="heard">${this.heard}</output>`;
  }
}

customElements.define("lit-page", Page);
document.getElementById("app").append(document.createElement("lit-page"));
