/**
 * What <qr-login> and <qr-approve> share: elements, attributes as properties, untrusted text,
 * requests, timers and colours.
 *
 * This module knows how to send JSON to a mount of this origin, and which failures are worth a
 * retry. It does not know logins, states or texts. It takes the methods of `document` from the
 * prototype, because <form name="createElementNS"> on the page shadows the document's own. A server
 * that renders pages may import it: then there is no `document`.
 */
/** The class that the elements extend. On a server, an empty one.
 * @type {typeof HTMLElement} */
export declare const Base: typeof HTMLElement;
export type Answer = Record<string, any>;
export type Requester = HTMLElement & {
    request(url: URL, init: RequestInit): Promise<Response>;
};
/** @typedef {Record<string, any>} Answer
 * @typedef {HTMLElement & {request(url: URL, init: RequestInit): Promise<Response>}} Requester
 *   an element whose `request` sends its requests */
export declare const PATIENCE_S = 10;
/** Strokes on a 24 x 24 grid. @type {Record<string, string>} */
export declare const DRAWINGS: Record<string, string>;
/** Colours and shapes, from the same custom properties in both elements. The page's `color-scheme`
 * chooses the colours through light-dark(). A browser without that function accepts it in a custom
 * property and then shows nothing, so such a browser gets plain colours, by the system's
 * preference. */
export declare const TOKENS: string;
/** Gives a shadow root its styles. Call it again in every document: a move into another document
 * drops them, and a document takes only style sheets of its own.
 * @param {ShadowRoot} root @param {string} css */
export declare function dress(root: ShadowRoot, css: string): void;
/** Whether this browser can run the elements: whether it has the newest things that they need. */
export declare function supported(): boolean;
/** An element for a browser that is too old: it shows one sentence, and its children. The promise
 * of `ready` resolves when the sentence is final.
 * @type {(sentence: (element: HTMLElement) => string,
 *   ready: (element: HTMLElement) => Promise<void>) => typeof HTMLElement} */
export declare const outdated: (sentence: (element: HTMLElement) => string, ready: (element: HTMLElement) => Promise<void>) => typeof HTMLElement;
/** The text of an attribute, or null if it is missing or says that there is no value.
 * @param {Element} element @param {string} name */
export declare function attribute(element: Element, name: string): string | null;
/** Gives a class a property for each attribute: `csrfToken` for csrf-token. A property of text is
 * "" without the attribute; a flag is true or false. No value (null, undefined, false, NaN, "")
 * removes the attribute.
 * @param {typeof HTMLElement} type @param {string[]} texts @param {string[]} flags */
export declare function reflect(type: typeof HTMLElement, texts: string[], flags: string[]): void;
/** Applies the properties that were set before the element was defined: they hide those of its
 * class. @param {any} element @param {string[]} attributes */
export declare function upgrade(element: any, attributes: string[]): void;
/** Call it when an attribute changes. Restores one that a property wrote and that a morph, which
 * knows only the server's HTML, has removed.
 * @param {Element} element @param {string} name @param {string | null} value */
export declare function keepAttribute(element: Element, name: string, value: string | null): void;
/** Writes the state for styles and tests: as the attribute `state`, and as `:state(…)` where the
 * browser has that. @param {HTMLElement} element @param {string} state */
export declare function writeState(element: HTMLElement, state: string): void;
/** Dispatches an event under its two names: "qr-login:state", and "qr-login-state" for templates in
 * which a colon means something else. Returns false if a listener prevented its default.
 * @param {HTMLElement} element @param {string} prefix @param {string} name
 * @param {object} detail */
export declare function emit(element: HTMLElement, prefix: string, name: string, detail: object, cancelable?: boolean): boolean;
/** The statuses and the server's error codes that no retry can change, and the state that each
 * leads to. "stale" means that the page is too old or that the site is not set up: a framework
 * refuses a missing CSRF token and an expired one alike.
 * @type {[unknown, string][]} */
export declare const REFUSALS: [unknown, string][];
/** A failed request. `state` is the view to show. If `retryable`, another attempt may succeed, but
 * not before `retryAfter` seconds. `code` is the server's error code, `status` the HTTP status; 0
 * means that there was no answer. `words` and `stepUp` are what the site's judge answered. */
export declare class Trouble extends Error {
    state: string;
    retryable: boolean;
    retryAfter: number;
    code: string;
    status: number;
    words: string;
    stepUp: string;
    triesLeft: number;
    /** @param {string} state */
    constructor(state: string, retryable?: boolean, retryAfter?: number, code?: string, status?: number);
}
/** Creates an element. Its `part` is also its class.
 * @param {string} tag @param {string} part @param {Record<string, string>} attributes
 * @param {(Element | string)[]} children */
export declare function make(tag: string, part?: string, attributes?: Record<string, string>, ...children: (Element | string)[]): HTMLElement & SVGElement;
/** The window of a node, or null. @param {Node} node
 * @returns {(Window & typeof globalThis) | null} */
export declare const viewOf: ({ ownerDocument }: Node) => (Window & typeof globalThis) | null;
/** Whether the page of an element is a copy that Turbo shows until it has the page.
 * @param {Node} element */
export declare const isPreview: ({ ownerDocument }: Node) => boolean;
/** Whether the page of an element is hidden. @param {Node} element */
export declare const hidden: ({ ownerDocument }?: Node) => boolean;
/** Whether nothing on the page of an element has the focus. @param {Node} element */
export declare const unfocused: ({ ownerDocument }?: Node) => boolean;
/** Milliseconds that a change of the system's clock does not affect. */
export declare const now: () => number;
/** A number of seconds that the server sent, between 0 and `most`. */
export declare const seconds: (/** @type {any} */ value: any, most?: number) => number;
/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
export declare function sleep(ms: number, signal: AbortSignal): Promise<void>;
/** The delay in milliseconds after this many failures in a row. */
export declare const backoff: (/** @type {number} */ failed: number) => number;
/** A name as one line of text, cleaned as names.py cleans it: the name could hide text or change
 * the direction of the text around it. Joiners stay where they join, because emoji, Persian and the
 * scripts of India need them. A name longer than `most` characters is cut between two letters.
 * @param {unknown} name */
export declare function plain(name: unknown, most?: number): string;
/** Splits the full name of an account: every second piece is what could be taken for letters of a
 * to z, by the same rule as names.py. @param {string} name */
export declare const oddPieces: (name: string) => string[];
/** Accepts only presses that a person makes on what the card shows now. It rejects clicks by a
 * script, presses that began on an earlier view, and a key that is held down. Buttons and links
 * are inert for INERT_MS after `hold`, and after the window comes to the front. */
export declare class Guard {
    #private;
    /** @param {Element} card */
    constructor(card: Element);
    /** Until `signal`, also holds when the window comes to the front: the second click of a double
     * click on another window may land here. @param {AbortSignal} signal */
    watch(signal: AbortSignal): void;
    /** Makes buttons and links inert for INERT_MS. */
    hold(): void;
    /** Runs `act` when a person presses the button. A click never submits a form. Returns the button.
     * @template {Element} B @param {B} button @param {() => void} act */
    on<B extends Element>(button: B, act: () => void): B;
}
/** A path of this origin as a full URL, or "" if it is not one. It returns the full URL because its
 * path alone could be "//host", from "/..//host". */
export declare function ownPath(/** @type {string | null} */ next: string | null): string;
/** The URL of a path below the mount that `src` names. Throws a TypeError for another origin.
 * @param {Element} element @param {string} path */
export declare function mountUrl(element: Element, path: string): URL;
/** An absolute address, or null. URL.canParse and URL.parse are too new.
 * @param {unknown} address */
export declare function parsed(address: unknown): URL | null;
/** An address that is safe in a link: absolute, http or https. Otherwise "".
 * @param {unknown} address */
export declare function webAddress(address: unknown): string;
/** Sends a request to the mount that `src` names: a POST if there is a body, else a GET. Throws
 * `Trouble` for everything but a successful answer. `ends` maps final error codes and statuses to
 * the state that each leads to. `picture` is the id of the picture on the screen: the answer has
 * only another one.
 * @param {Requester} element @param {string} path @param {object | null} body
 * @param {AbortSignal} signal
 * @param {{patience?: number, ends: ReadonlyMap<unknown, string>, keepalive?: boolean,
 *   picture?: string}} options
 * @returns {Promise<Answer>} */
export declare function call(element: Requester, path: string, body: object | null, signal: AbortSignal, options: {
    patience?: number;
    ends: ReadonlyMap<unknown, string>;
    keepalive?: boolean;
    picture?: string;
}): Promise<Answer>;
