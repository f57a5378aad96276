/**
 * <qr-approve>: the phone's page. It shows the login request and sends the user's answer.
 *
 * This module knows the phone's calls. Two of them only read: `look` fetches the question when the
 * page comes into sight, and `outcome` asks how an approved login ended. The others (scan, confirm,
 * deny, release) need a press by a person: loading, previewing, prerendering the page or going back
 * to it changes nothing. It does not know who the user is or what a code means: the server reads
 * the address. In a frame it explains why it does not continue. What people see is in
 * qr-approve-card.js.
 *
 * In the question, declining comes first and both answers have the same weight. No button reacts
 * for half a second after a view appears or the window comes to the front (Guard), because the
 * press may have been meant for what was there before.
 */
export type State = import("./qr-approve-card.js").State;
export type Answer = import("./qr-login-parts.js").Answer;
export type Properties = {
    /**
     * where the phone routes are mounted; same origin only
     */
    src: string;
    /**
     * the path of this page without a code
     */
    at: string;
    /**
     * the account that the browser would get, shown as text
     */
    account: string;
    /**
     * the site's name, shown as text; without it: this host
     */
    site: string;
    /**
     * the path of the link that each end offers
     */
    home: string;
    /**
     * a header that the application requires on every POST
     */
    csrfHeader: string;
    /**
     * its value
     */
    csrfToken: string;
    /**
     * asks for a code if the address has none (RFC 8628 section 3.3)
     */
    typed: boolean;
};
declare const QRApproveElement_base: new () => HTMLElement & Properties;
/** @typedef {import("./qr-approve-card.js").State} State
 * @typedef {import("./qr-login-parts.js").Answer} Answer */
/** What the attributes are as properties.
 * @typedef {object} Properties
 * @property {string} src where the phone routes are mounted; same origin only
 * @property {string} at the path of this page without a code
 * @property {string} account the account that the browser would get, shown as text
 * @property {string} site the site's name, shown as text; without it: this host
 * @property {string} home the path of the link that each end offers
 * @property {string} csrfHeader a header that the application requires on every POST
 * @property {string} csrfToken its value
 * @property {boolean} typed asks for a code if the address has none (RFC 8628 section 3.3) */
/** The phone's page: `<qr-approve src="/qrlogin/phone/" at="/qr"></qr-approve>`.
 *
 * @attr {string} src - where the phone routes are mounted; same origin only
 * @attr {string} at - the path of this page without a code ("/qr"), as in verification_uri
 * @attr {string} account - the account that the browser would get, shown as text
 * @attr {string} site - the site's name, shown as text; without it: this host
 * @attr {string} home - the path of the link that each end offers
 * @attr {boolean} typed - asks for a code if the address has none (RFC 8628 section 3.3)
 * @attr {string} csrf-header - a header that the application requires on every POST
 * @attr {string} csrf-token - its value
 * @attr {string} state - set by the element, for CSS and tests: as in docs/approve.md
 *
 * @fires {CustomEvent<{state: string}>} qr-approve:state - the view changed; also as
 *   qr-approve-state
 * @fires {CustomEvent<{decision: "approved" | "denied" | "released"}>} qr-approve:done - the server
 *   accepted the answer; also as qr-approve-done
 *
 * @slot - shown without JavaScript, when no user is logged in, and where the element cannot work
 * @slot report - shown after a denial
 * @slot end - shown at every end
 *
 * @csspart card - all of it
 * @csspart picture - the place of a drawing
 * @csspart icon - a drawing
 * @csspart title - the heading
 * @csspart name - the account in the heading
 * @csspart hint - the text below the heading
 * @csspart compare - the question about a code that was typed
 * @csspart code - that code
 * @csspart known - whether the account was logged in on the browser before
 * @csspart facts - what is known of the browser
 * @csspart claim - what the browser says about itself
 * @csspart warning - when to say no
 * @csspart words - what the site says about its refusal
 * @csspart form - the form for a code or for digits
 * @csspart field - its field
 * @csspart note - a mistake, and a failed request
 * @csspart actions - the buttons
 * @csspart button - each of them
 * @csspart primary - the one that goes on
 * @csspart deny - the button "No"
 * @csspart approve - the button "Yes"
 * @csspart quiet - a button of less weight
 * @csspart link - a link
 * @csspart left - the time that is left
 *
 * @cssprop --qr-login-accent - "Yes", and names
 * @cssprop --qr-login-on-accent - text on it
 * @cssprop --qr-login-alarm - "No", refusals and failures
 * @cssprop --qr-login-on-alarm - text on it
 * @cssprop --qr-login-ink - text
 * @cssprop --qr-login-muted - text of less weight
 * @cssprop --qr-login-surface - the card
 * @cssprop --qr-login-line - its border
 * @cssprop [--qr-login-radius=1.25rem] - the card's corners
 *
 * @tagname qr-approve */
export declare class QRApproveElement extends /** @type {new () => HTMLElement & Properties} */ /** @type {new () => HTMLElement & Properties} */ QRApproveElement_base {
    #private;
    /** The current state, as the attribute `state` names it. */
    get state(): "" | "aim" | "approved" | "ask" | "blocked" | "cancelled" | "denied" | "expired" | "found" | "framed" | "gone" | "guesses" | "late" | "looking" | "match" | "mismatched" | "moved" | "offline" | "over" | "redeemed" | "refused" | "released" | "sending" | "short" | "signin" | "stale" | "stepup" | "stopped" | "taken" | "typing" | "unavailable" | "uncollected" | "used";
    /** The texts in use: those of the catalogue in the language that `lang` names. */
    get texts(): Readonly<Record<string, string>>;
    /** A code that a scanner of the application read. Setting it starts again with this code; ""
     * returns to the code in the address. @param {string | null | undefined | false} text */
    set code(text: string | null | undefined | false);
    connectedCallback(): void;
    disconnectedCallback(): void;
    /** @param {string} name @param {string | null} _old @param {string | null} value */
    attributeChangedCallback(name: string, _old: string | null, value: string | null): void;
    /** Starts again from the address (or `code`): shows the question as soon as the page is in sight.
     * A code that a person could have typed is shown first, to be compared. */
    start(): void;
    /** Every request to the server goes through here. Override it to add headers, or to replace the
     * server in a test.
     * @param {URL} url @param {RequestInit} init @returns {Promise<Response>} */
    request(url: URL, init: RequestInit): Promise<Response>;
}
export {};
