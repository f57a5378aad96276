/**
 * What <qr-approve> shows: the title, the question with its facts, the form for a code, the buttons
 * and the countdown.
 *
 * This module knows how each state looks, and which presses count (Guard). It sends no request and
 * keeps no login: the element passes in what to show, and is called back when a person presses a
 * button or enters a code. All that comes from the server, the address or an attribute is shown as
 * text.
 */
/** What each state shows beside its two texts: a drawing, its tone, and its actions in order. */
declare const VIEWS: Readonly<{
    framed: string[];
    found: string[];
    typing: string[];
    aim: string[];
    looking: string[];
    ask: string[];
    sending: string[];
    match: string[];
    mismatched: string[];
    approved: string[];
    redeemed: string[];
    uncollected: string[];
    over: string[];
    denied: string[];
    stopped: string[];
    released: string[];
    expired: string[];
    gone: string[];
    taken: string[];
    cancelled: string[];
    used: string[];
    late: string[];
    moved: string[];
    short: string[];
    guesses: string[];
    signin: string[];
    stale: string[];
    offline: string[];
    unavailable: string[];
    refused: string[];
    blocked: string[];
    stepup: string[];
}>;
export type State = keyof typeof VIEWS;
export type Host = HTMLElement & {
    texts: Readonly<Record<string, string>>;
};
export type View = {
    /**
     * the code, if a person could have typed it, else ""
     */
    typedCode: string;
    /**
     * the facts of the login, as the server sent them
     */
    context: unknown;
    /**
     * whether this account was logged in on that browser before; no boolean:
     * the server does not say
     */
    known: unknown;
    /**
     * whether this account has scanned the login, so that it can give it
     * back
     */
    claimed: boolean;
    /**
     * seconds until the account may try another code
     */
    retryAfter: number;
    /**
     * what the site says about its refusal
     */
    words: string;
    /**
     * the address of the step that the site asks for
     */
    stepUp: string;
    /**
     * how many the browser shows for the person to type
     */
    digits: number;
    /**
     * whether no one has pressed a button yet: then the page does not scroll
     */
    first: boolean;
};
export declare class Card {
    #private;
    /** Builds the card in a shadow root of `host`. It is empty until the first `show`.
     * @param {Host} host
     * @param {(action: string) => void} onAction receives the action of a pressed button, as in
     *   VIEWS
     * @param {(code: string) => void} onCode receives a code that a person typed
     * @param {(digits: string) => void} onDigits receives the digits that a person typed */
    constructor(host: Host, onAction: (action: string) => void, onCode: (code: string) => void, onDigits: (digits: string) => void);
    /** Makes the buttons inert for a moment. */
    hold(): void;
    /** Gives the card its styles, in each document into which the element is moved. */
    dress(): void;
    /** Whether the card has a place on the page. It has none under `display: none`. */
    get isRendered(): boolean;
    /** Calls `then` when the card has got a place on the page, unless `signal` comes first.
     * @param {() => void} then @param {AbortSignal} signal */
    onRendered(then: () => void, signal: AbortSignal): void;
    /** Until `signal`, also ignores presses just after the window comes to the front.
     * @param {AbortSignal} signal */
    watch(signal: AbortSignal): void;
    /** Shows a state: its drawing, texts and buttons.
     * @param {State} state @param {View} view */
    show(state: State, { typedCode, context, known, claimed, retryAfter, words: said, stepUp, digits, first }: View): void;
    /** Completes the form after a typed code that the server does not know.
     * @param {string} written the code, for the person to correct */
    showMistyped(written: string): void;
    /** Completes the form after wrong digits.
     * @param {string} written the digits @param {number} left tries */
    showWrong(written: string, left: number): void;
    /** Says that the last request failed and is being retried, or no longer says so.
     * @param {string} trouble the key of the text; "" for none */
    showRetrying(trouble: string): void;
    /** Shows the times of the question. The text that screen readers read aloud changes four times
     * in all.
     * @param {number} left whole seconds until the login expires
     * @param {number} old whole seconds since the browser began it */
    showTimes(left: number, old: number): void;
}
export {};
