import type { QRApproveElement } from "./qr-approve-element.js";
import type { QRLoginElement } from "./qr-login-element.js";

export { QRApproveElement } from "./qr-approve-element.js";
export { QRLoginElement } from "./qr-login-element.js";
export { TEXTS } from "./qr-login-texts.js";

/** `detail` of the events of <qr-login>. */
export type LoginState = { state: QRLoginElement["state"] };
export type LoginRedeemed = { login_id: string; body: Record<string, unknown> };
/** `detail` of the events of <qr-approve>. */
export type ApproveState = { state: QRApproveElement["state"] };
export type ApproveDone = { decision: "approved" | "denied" | "released" };

declare global {
  interface HTMLElementTagNameMap {
    "qr-login": QRLoginElement;
    "qr-approve": QRApproveElement;
  }
  interface HTMLElementEventMap {
    "qr-login:state": CustomEvent<LoginState>;
    "qr-login-state": CustomEvent<LoginState>;
    "qr-login:redeemed": CustomEvent<LoginRedeemed>;
    "qr-login-redeemed": CustomEvent<LoginRedeemed>;
    "qr-approve:state": CustomEvent<ApproveState>;
    "qr-approve-state": CustomEvent<ApproveState>;
    "qr-approve:done": CustomEvent<ApproveDone>;
    "qr-approve-done": CustomEvent<ApproveDone>;
  }
}
