/**
 * What <qr-login> shows: the card with the code, the texts, the countdown and the buttons.
 *
 * This module knows how each state looks, and which presses count (Guard). It sends no request and
 * keeps no login: the element passes in what to show, and is called back when a person presses a
 * button.
 */
/** What each state shows beside its two texts: a drawing, its tone, and its actions. Declining
 * comes first. */
declare const VIEWS: Readonly<{
    idle: string[];
    starting: string[];
    pending: string[];
    scanned: string[];
    confirmed: string[];
    redeeming: string[];
    redeemed: string[];
    denied: string[];
    cancelled: string[];
    expired: string[];
    superseded: string[];
    used: string[];
    unknown: string[];
    forgotten: string[];
    offline: string[];
    unavailable: string[];
    refused: string[];
    paused: string[];
    stale: string[];
}>;
/** The states in which the login has a deadline, and the page polls. */
export declare const LIVE: string[];
export type State = keyof typeof VIEWS;
export type Host = HTMLElement & {
    texts: Readonly<Record<string, string>>;
};
/** @typedef {keyof typeof VIEWS} State
 * @typedef {HTMLElement & {texts: Readonly<Record<string, string>>}} Host the element */
export declare class Card {
    #private;
    /** Builds the card in a shadow root of `host`. It is empty until the first `show`.
     * @param {Host} host
     * @param {(action: string) => void} onAction receives the action of a pressed button, as in
     *   VIEWS */
    constructor(host: Host, onAction: (action: string) => void);
    /** Takes up work in the document that the host is in now. Until `signal`, the card also ignores
     * presses just after the window comes to the front, and `onSight` is called when the card has
     * appeared or disappeared.
     * @param {AbortSignal} signal @param {() => void} onSight */
    watch(signal: AbortSignal, onSight: () => void): void;
    /** Whether the card has a place on the page. It has none under `display: none`. */
    get isRendered(): boolean;
    /** The path of the code that is drawn. */
    get code(): string | null;
    /** Shows a state: its drawing, texts and buttons.
     * @param {State} state @param {string} name of the account that scanned, or ""
     * @param {string[]} typedCode a code to type and where to type it, or nothing
     * @param {string} fullName of the account that approved, or ""
     * @param {string} digits to type on the phone, or "" */
    show(state: State, name: string, typedCode: string[], fullName?: string, digits?: string): void;
    /** Draws the plain code. Returns false if it is drawn already.
     * @param {number} size in modules @param {string} path
     * @param {string} address what the code contains; the link has it too */
    draw(size: number, path: string, address: string): boolean;
    /** Covers the plain code with the server's picture, once that has loaded.
     * @param {string} url */
    cover(url: string): void;
    /** Shows the time that is left. The ring moves at each call; the text changes four times in all.
     * Screen readers read it aloud when a person must decide in that time, and when a request failed;
     * a code that expires is replaced, or the title says that it has expired.
     * @param {number} left seconds until the login expires
     * @param {number} total seconds of the whole countdown
     * @param {boolean} stale whether the code is too old to be scanned
     * @param {string} trouble the key of the text for a request that failed and is being retried */
    showTime(left: number, total: number, stale: boolean, trouble: string): void;
}
export {};
