/**
 * The catalogue: every visible text of <qr-login>, of <qr-approve> and of the pages around them,
 * and the choice of the language.
 *
 * This module has the English texts. Every other language has a module of its own, which is loaded
 * when an element needs it. Python reads these files, too (`qrlogin.browser.texts`), so LANGUAGES,
 * the English texts and the other modules are strict JSON. Every language has the same keys.
 *
 * The sections are the texts of each element, of `both`, and of the pages.
 *
 * This module does not know where a text appears. The page replaces {words} in braces; no text is
 * HTML. A text that depends on a number has one key for each plural form of the language, such as
 * `minutes_one` and `minutes_other` (the categories of Intl.PluralRules).
 *
 * To use your own texts, change them in the module that imports the elements:
 * `Object.assign(TEXTS.en.login, {yes: "Go on"})`, or add a language: `TEXTS.it = {login: {…}}`.
 * A text that a language lacks is shown in English. To add a language to qrlogin itself:
 * CONTRIBUTING.md, "Add a language".
 */
/** The languages of the catalogue as BCP 47 tags, each with other tags for which it is right. */
export declare const LANGUAGES: {
    en: never[];
    "zh-CN": string[];
    "zh-TW": string[];
    de: never[];
    fr: never[];
    es: never[];
    pt: never[];
    ru: never[];
    ar: never[];
    ja: never[];
};
export type Section = "both" | "login" | "approve" | "pages";
export type Texts = Partial<Record<Section, Record<string, string>>>;
export type Catalogue = Record<keyof typeof LANGUAGES, Required<Texts>> & Record<string, Texts>;
/** The texts by language. Those of another language than English are empty until it is loaded; what
 * an application has written there stays.
 * @type {Catalogue} */
export declare const TEXTS: Catalogue;
/** All texts of one section in the language of an element; English replaces the missing ones. The
 * texts of `both` elements are in it, too.
 * @param {Element} element @param {Section} section
 * @returns {Readonly<Record<string, string>>} */
export declare function textsFor(element: Element, section: Section): Readonly<Record<string, string>>;
/** Resolves when the texts of an element are loaded, or after LANGUAGE_MS.
 * @param {Element} element */
export declare function languageIsThere(element: Element): Promise<void>;
/** A text that depends on a number, in the plural form of the language.
 * @param {Readonly<Record<string, string>>} texts @param {string} key @param {number} n
 * @param {string} language */
export declare function counted(texts: Readonly<Record<string, string>>, key: string, n: number, language: string): string;
/** When a login expires, in words that change four times in all.
 * @param {Readonly<Record<string, string>>} texts @param {number} left seconds
 * @param {string} language */
export declare function expiry(texts: Readonly<Record<string, string>>, left: number, language: string): string;
/** Marks a card with the language of its texts and with their direction. Returns the language.
 * @param {Element} card @param {Element} host the element around it */
export declare function markLanguage(card: Element, host: Element): string;
/** How long ago something was, in words: "20 seconds ago". Its digits are 0 to 9 in every language,
 * as in all other texts. @param {number} old whole seconds @param {string} language */
export declare function ago(old: number, language: string): string;
