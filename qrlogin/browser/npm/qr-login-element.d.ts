/**
 * <qr-login>: shows a QR code, waits for the phone, asks "Continue as …?" and logs this browser in.
 *
 * This module knows the native JSON protocol (begin, status and its streams, redeem, cancel) and
 * how to poll and retry without overloading the server. What people see is in qr-login-card.js. It
 * does not know other origins, the device code (an HttpOnly cookie) or who the user is. The
 * scanner's tag and `op` live in private fields: never in the DOM, an attribute or an event.
 *
 * Importing this module defines <qr-login>, unless the name is taken; a subclass defines itself.
 * The element works under a strict CSP with Trusted Types, and on plain http (no crypto.subtle).
 */
export type State = import("./qr-login-card.js").State;
export type Answer = import("./qr-login-parts.js").Answer;
export type Properties = {
    /**
     * where the browser routes are mounted; same origin only
     */
    src: string;
    /**
     * path to open after the login
     */
    next: string;
    /**
     * "manual": waits for a click before it requests a code
     */
    start: string;
    /**
     * "events" or "socket"
     */
    stream: string;
    /**
     * a header that the application requires on every POST
     */
    csrfHeader: string;
    /**
     * its value
     */
    csrfToken: string;
    /**
     * shows the server's picture instead of the plain code
     */
    picture: boolean;
};
declare const QRLoginElement_base: new () => HTMLElement & Properties;
/** What the attributes are as properties.
 * @typedef {object} Properties
 * @property {string} src where the browser routes are mounted; same origin only
 * @property {string} next path to open after the login
 * @property {string} start "manual": waits for a click before it requests a code
 * @property {string} stream "events" or "socket"
 * @property {string} csrfHeader a header that the application requires on every POST
 * @property {string} csrfToken its value
 * @property {boolean} picture shows the server's picture instead of the plain code */
/** The login page: `<qr-login src="/qrlogin/"></qr-login>`.
 *
 * @attr {string} src - where the browser routes are mounted; same origin only
 * @attr {string} next - path to open after the login, such as "/account"; default: reload the page
 * @attr {boolean} picture - shows the server's picture, qr.png, instead of the plain code
 * @attr {"manual"} start - waits for a click before it requests a code
 * @attr {"events" | "socket"} stream - receives changes that way, and polls where that fails
 * @attr {string} csrf-header - a header that the application requires on every POST
 * @attr {string} csrf-token - its value
 * @attr {string} state - set by the element, for CSS and tests: as in docs/element.md
 *
 * @fires {CustomEvent<{state: string}>} qr-login:state - the state changed; also as qr-login-state
 * @fires {CustomEvent<{login_id: string, body: object}>} qr-login:redeemed - logged in, and the
 *   server's answer; preventDefault() keeps the page open; also as qr-login-redeemed
 *
 * @slot - shown without JavaScript, and in states where the code does not help: a link to a password
 *   form, for example
 *
 * @csspart card - all of it
 * @csspart picture - the place of the code, or of a drawing
 * @csspart qr - the code
 * @csspart icon - a drawing
 * @csspart countdown - the ring around the picture
 * @csspart remaining - the part of the ring for the time that is left
 * @csspart title - the first line
 * @csspart name - the account in the title
 * @csspart odd - letters of its name that are not plain a to z
 * @csspart hint - the text below the title
 * @csspart digits - the digits to type on the phone
 * @csspart typed - the code to type, and where
 * @csspart code - the code to type
 * @csspart note - the time that is left, and a failed request
 * @csspart link - opens the code on the device itself
 * @csspart fold - the button that unfolds the code on a phone
 * @csspart actions - the buttons below
 * @csspart button - each of them
 * @csspart primary - the one that goes on
 *
 * @cssprop --qr-login-accent - buttons, the ring and names
 * @cssprop --qr-login-on-accent - text on them
 * @cssprop --qr-login-ink - text
 * @cssprop --qr-login-muted - text of less weight
 * @cssprop --qr-login-surface - the card
 * @cssprop --qr-login-line - its border
 * @cssprop --qr-login-alarm - refusals and failures
 * @cssprop [--qr-login-radius=1.25rem] - the card's corners
 * @cssprop [--qr-login-size=16rem] - the width of the code
 *
 * @tagname qr-login */
export declare class QRLoginElement extends /** @type {new () => HTMLElement & Properties} */ /** @type {new () => HTMLElement & Properties} */ QRLoginElement_base {
    #private;
    /** The current state, as the attribute `state` names it. */
    get state(): "" | "cancelled" | "confirmed" | "denied" | "expired" | "forgotten" | "idle" | "offline" | "paused" | "pending" | "redeemed" | "redeeming" | "refused" | "scanned" | "stale" | "starting" | "superseded" | "unavailable" | "unknown" | "used";
    /** The texts in use: those of the catalogue in the language that `lang` names. */
    get texts(): Readonly<Record<string, string>>;
    connectedCallback(): void;
    disconnectedCallback(): void;
    /** @param {string} name @param {string | null} old @param {string | null} value */
    attributeChangedCallback(name: string, old: string | null, value: string | null): void;
    /** Requests a new code, in any state. */
    begin(): void;
    /** "That is not me." This page drops the login and no other page can redeem it, so it does not
     * matter if the cancel request fails. */
    cancel(): void;
    /** Every request to the server goes through here. Override it to add headers, or to replace the
     * server in a test.
     * @param {URL} url @param {RequestInit} init @returns {Promise<Response>} */
    request(url: URL, init: RequestInit): Promise<Response>;
}
export {};
