import "@angular/compiler";
import {
  CUSTOM_ELEMENTS_SCHEMA, Component, provideZonelessChangeDetection, signal,
} from "@angular/core";
import { bootstrapApplication } from "@angular/platform-browser";

const phone = location.pathname.startsWith("/qr/"); // which of the two pages this is

class Page {
  phone = phone;
  count = signal(0);
  there = signal(true);
  heard = signal("");
  src = "/qrlogin/";

  onRedeemed(event) {
    event.preventDefault();
    this.heard.set(event.detail.body.token);
  }
}

const Root = Component({
  selector: "app-page",
  schemas: [CUSTOM_ELEMENTS_SCHEMA],
  template: `
    @if (there() && phone) {
      <qr-approve src="/qrlogin/phone/" at="/qr" [typed]="false" [home]="null" [code]="null"
        [csrfHeader]="undefined" [account]="count() ? 'Alice' : null"
        [title]="'rendered ' + count()" (qr-approve-state)="heard.set($any($event).detail.state)"
        (qr-approve-done)="heard.set('done ' + $any($event).detail.decision)"></qr-approve>
    } @else if (there()) {
      <qr-login [src]="src" start="manual" [picture]="false" [next]="null" [csrfHeader]="undefined"
        [title]="'rendered ' + count()" (qr-login-state)="heard.set($any($event).detail.state)"
        (qr-login-redeemed)="onRedeemed($event)"></qr-login>
    }
    <button id="rerender" (click)="count.set(count() + 1)">Render again</button>
    <button id="remount" (click)="there.set(!there())">Mount or unmount</button>
    <output id="heard">{{ heard() }}</output>`,
})(Page) ?? Page;

document.getElementById("app").append(document.createElement("app-page"));
bootstrapApplication(Root, { providers: [provideZonelessChangeDetection()] });
