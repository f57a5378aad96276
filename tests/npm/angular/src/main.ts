import { ChangeDetectionStrategy, Component, CUSTOM_ELEMENTS_SCHEMA, signal } from "@angular/core";
import { bootstrapApplication } from "@angular/platform-browser";
import type { LoginState } from "qrlogin-elements";
import "qrlogin-elements";

@Component({
  selector: "app-root",
  changeDetection: ChangeDetectionStrategy.OnPush,
  schemas: [CUSTOM_ELEMENTS_SCHEMA],
  template: `<qr-login [src]="'/qrlogin/'" next="/account" (qr-login-state)="hear($event)"></qr-login>
    <output>{{ state() }}</output>`,
})
class App {
  readonly state = signal<LoginState["state"]>("");
  hear(event: CustomEvent<LoginState>): void { this.state.set(event.detail.state); }
}

void bootstrapApplication(App);
