/** Defines <qr-login> and <qr-approve>. */
export { QRApproveElement } from "./qr-approve-element.js";
export { QRLoginElement } from "./qr-login-element.js";
export { TEXTS } from "./qr-login-texts.js";
