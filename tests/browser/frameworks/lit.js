import { LitElement, html, nothing } from "lit";

const phone = location.pathname.startsWith("/qr/"); // which of the two pages this is

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

  approve() {
    return html`<qr-approve src="/qrlogin/phone/" at="/qr" ?typed=${false} home=${nothing}
      .csrfHeader=${undefined} .code=${null} .account=${this.count ? "Alice" : null}
      title=${`rendered ${this.count}`}
      @qr-approve:state=${({ detail }) => { this.heard = detail.state; }}
      @qr-approve-done=${({ detail }) => { this.heard = `done ${detail.decision}`; }}>
    </qr-approve>`;
  }

  render() {
    return html`${this.there && phone ? this.approve() : this.there
      ? html`<qr-login src="/qrlogin/" .start=${"manual"} ?picture=${false}
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
