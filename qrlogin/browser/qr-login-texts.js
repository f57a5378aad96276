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
export const LANGUAGES = {
  "en": [], "zh-CN": ["zh-Hans", "zh-SG"], "zh-TW": ["zh-Hant", "zh-HK", "zh-MO"], "de": [],
  "fr": [], "es": [], "pt": [], "ru": [], "ar": [], "ja": []
};

/** @typedef {"both" | "login" | "approve" | "pages"} Section
 * @typedef {Partial<Record<Section, Record<string, string>>>} Texts one language
 * @typedef {Record<keyof typeof LANGUAGES, Required<Texts>> & Record<string, Texts>} Catalogue */

/** The modules of the languages. No variable in an import: bundlers read these addresses.
 * @type {Record<string, () => Promise<{default: Texts}>>} */
const MODULES = {
  "zh-CN": () => import("./qr-login-texts-zh-CN.js"),
  "zh-TW": () => import("./qr-login-texts-zh-TW.js"),
  de: () => import("./qr-login-texts-de.js"),
  fr: () => import("./qr-login-texts-fr.js"),
  es: () => import("./qr-login-texts-es.js"),
  pt: () => import("./qr-login-texts-pt.js"),
  ru: () => import("./qr-login-texts-ru.js"),
  ar: () => import("./qr-login-texts-ar.js"),
  ja: () => import("./qr-login-texts-ja.js"),
};
const LANGUAGE_MS = 3000; // the longest wait for a language; after that, the texts are English

/** Strict JSON, as are the modules of the other languages. */
const ENGLISH = {
  "both": {
    "minutes_one": "Expires within a minute", "minutes_other": "Expires within {n} minutes",
    "seconds_one": "Expires within a second", "seconds_other": "Expires within {n} seconds"
  },
  "login": {
    "label": "Login QR code",
    "idle": "Log in with your phone", "idleHint": "Use a phone that is already logged in.",
    "starting": "One moment…", "startingHint": "",
    "pending": "Scan with your phone", "pendingHint": "Use a phone that is already logged in.",
    "typed": "Or enter {code} at {uri}",
    "sameDevice": "Already logged in on this device? Approve here",
    "phoneTitle": "Already logged in on this phone?", "phoneText": "Opens in a new tab. Come back to this page afterwards.",
    "openApp": "Approve here", "otherPhone": "Scan with another phone",
    "scanned": "Scanned by {name}", "scannedHint": "Approve the login on your phone.",
    "enterDigits": "Enter these digits on your phone. Tell them to no one.",
    "confirmed": "Continue as {name}?",
    "confirmedHint": "Approved on a phone. Continue only if this is your account.",
    "confirmedMasked": "Approved on a phone. Other accounts may have the same short name: continue only if you approved this login yourself.",
    "confirmedOdd": "Approved on a phone. The boxed letters are not plain a to z: continue only if this is exactly the name of your account.",
    "redeeming": "Logging in…", "redeemingHint": "",
    "redeemed": "You are logged in", "redeemedHint": "",
    "denied": "Declined on the phone", "deniedHint": "You were not logged in.",
    "cancelled": "Login cancelled", "cancelledHint": "You were not logged in.",
    "expired": "This code has expired", "expiredHint": "Codes are valid only for a short time.",
    "expiredScanned": "Not approved in time", "expiredConfirmed": "Login not completed in time",
    "expiredAnew": "Show a new code and scan it.",
    "superseded": "Open in another window", "supersededHint": "This login continues in another window.",
    "unknown": "This code no longer works", "unknownHint": "If this happens again, allow cookies for this site.",
    "forgotten": "This code no longer works",
    "forgottenHint": "This page may be open in too many windows. Only the newest ones keep working.",
    "used": "This code was already used", "usedHint": "Reload the page to see whether you are logged in.",
    "offline": "You are offline", "offlineHint": "The login will continue when you are back online.",
    "unavailable": "Something went wrong", "unavailableHint": "The server did not respond as expected. Try again in a moment.",
    "refused": "Phone login is not available", "refusedHint": "Please contact the site administrator.",
    "paused": "Phone login is paused", "pausedHint": "Log in another way, or try again later.",
    "stale": "This page has expired", "staleHint": "Reload it, then try again.",
    "outdated": "This browser is too old for phone login.",
    "nameless": "an unnamed account",
    "retrying": "Connection problem. Retrying…",
    "busy": "Many people on your network are logging in. This page tries again by itself.",
    "start": "Show QR code", "renew": "Show a new code", "again": "Try again", "here": "Continue here",
    "reload": "Reload page", "yes": "Continue", "no": "That is not me"
  },
  "approve": {
    "found": "Login request",
    "foundText": "Someone wants to log in at {site}. Check the details before you approve.",
    "compare": "Does your other device show exactly this code?",
    "compareHint": "If someone sent you this code, stop. Approving it would log *them* in to your account.",
    "otherCode": "It shows a different code",
    "typing": "Enter the code",
    "typingText": "Find the code on the screen of the device you want to log in. It has eight letters, such as {sample}.",
    "codeLabel": "Code", "codeHelp": "Capitals, spaces and dashes are optional.", "lookUp": "Next",
    "mistyped": "No pending login has this code. Compare it with the screen, letter by letter.",
    "aim": "Scan the QR code", "aimText": "Open the camera on this phone and point it at the QR code on the login page.",
    "computer": "This page is for phones", "computerHint": "To log in on this computer, open the login page and scan the QR code there with a phone that is already logged in.",
    "looking": "One moment…", "lookingText": "",
    "ask": "Log this browser in as {account}?", "askNameless": "Log this browser in to your account?",
    "askDevice": "Log the other device in as {account}?", "askDeviceNameless": "Log the other device in to your account?",
    "askText": "",
    "factSite": "Site", "factAccount": "Account", "fact_browser": "Browser", "fact_place": "Location",
    "fact_address": "IP address", "fact_client": "App", "fact_permissions": "Permissions", "factBegun": "Started",
    "claim": "says it is {browser}", "claimSystem": "says it is {browser} on {system}",
    "unknownBrowser": "an unknown browser",
    "known": "You have logged in on this browser before.",
    "neverUsed": "*This browser has never been used with your account.* If you are not in front of it right now, choose No.",
    "warning": "*Approve only if the code is on the screen in front of you.* If someone sent you the code, or you did not start this login, choose No: they would be logged in as you.",
    "warningTyped": "*Approve only if your other device shows exactly this code.* This logs in that device, not this phone. If someone gave you the code, choose No: they would be logged in as you.",
    "deny": "No, not me", "approve": "Yes, log in", "release": "Not now",
    "match": "Enter the digits on the other screen",
    "matchText": "The browser that you are logging in shows them now.",
    "digitsLabel": "Digits", "sendDigits": "Log in",
    "digitsHelp": "You can type or paste them. *If you do not see that browser, choose No.* If you cannot enter digits, log in there in another way, for example with a password.",
    "digitsMissing": "Enter all the digits.",
    "wrongDigits_one": "These are not the digits on the other screen. You can try once more.",
    "wrongDigits_other": "These are not the digits on the other screen. You can try {n} more times.",
    "mismatched": "Login declined",
    "mismatchedText": "The digits were wrong three times, so no one was logged in. If this is your login, get a new code on the login page and scan it.",
    "left": "{time} left to decide",
    "sending": "Sending your answer…", "sendingText": "",
    "retrying": "Connection problem. Retrying…",
    "busy": "You have scanned many codes. One moment…",
    "approved": "Approved", "approvedText": "Return to the other window. It may ask you to check the account.",
    "redeemed": "The other device is logged in", "redeemedBrowser": "{browser} is logged in",
    "redeemedSystem": "{browser} on {system} is logged in",
    "redeemedText": "You approved this login. You can close this page.",
    "uncollected": "The login was not completed",
    "uncollectedText": "You approved it, but the other window did not continue in time. No one was logged in. To try again, get a new code on the login page and scan it.",
    "over": "You approved this login",
    "overText": "This page does not know how it ended. Look at the other window: it is logged in, or it offers a new code.",
    "denied": "Login declined",
    "deniedText": "No one was logged in, and the code no longer works. If someone sent you the code or asked you to scan it, they were trying to get into your account.",
    "stopped": "Login cancelled", "stoppedText": "No one was logged in.",
    "released": "Nothing was approved", "releasedText": "The code can be scanned again by anyone who sees it.",
    "expired": "This code has expired", "expiredText": "Codes are valid only for a short time. Use the code that is on the screen now.",
    "gone": "Code not found", "goneText": "It may be mistyped, belong to another site, or already be in use by someone else.",
    "taken": "Scanned by another account", "takenText": "If this is your login, get a new code on the login page and scan it.",
    "cancelled": "Login cancelled", "cancelledText": "The person at the browser cancelled this login.",
    "used": "This code was already used", "usedText": "To log in again, get a new code on the login page.",
    "late": "Too late to cancel", "lateText": "The browser is already logged in. Log out there, or end that session in your account settings.",
    "moved": "This login has changed", "movedText": "It is no longer waiting for your answer. View the details again.",
    "short": "Too little time is left", "shortText": "This login is about to expire, and you have not approved it. Get a new code on the login page and scan it.",
    "guesses": "Too many wrong codes",
    "guessesText_one": "Wait 1 minute before you enter another one. You can still scan a QR code.",
    "guessesText_other": "Wait {n} minutes before you enter another one. You can still scan a QR code.",
    "signin": "Log in first", "signinText": "Log in on this phone, then return to this page.",
    "stale": "This page has expired", "staleText": "Reload it, then try again.",
    "offline": "You are offline", "offlineText": "Your request may not have gone through. Try again when you are back online.",
    "unavailable": "No response from the server", "unavailableText": "Your request may not have gone through. It is safe to try again.",
    "refused": "Phone login is not available", "refusedText": "Please contact the site administrator.",
    "blocked": "The site does not allow this login", "blockedText": "You have not approved it.",
    "siteSays": "{site} says: {words}",
    "stepup": "One more step first", "stepupText": "The site asks for it before this login can continue. Return to this page afterwards.",
    "step": "Go to this step", "stepAt": "Go to this step at {host}",
    "framed": "This page cannot be used here",
    "framedText": "It is embedded in another page, which could hide what you approve. Open it in its own tab.",
    "alone": "Open in a new tab",
    "outdated": "This browser is too old to approve logins. Update it, or use another browser.",
    "look": "View details", "rescan": "View details again", "again": "Try again", "reload": "Reload page",
    "stop": "Cancel this login", "home": "Home"
  },
  "pages": {
    "direction": "ltr",
    "siteName": "Example",
    "logIn": "Log in", "logOut": "Log out", "signUp": "Sign up",
    "name": "Username", "password": "Password",
    "withPhone": "With your phone",
    "noAccount": "No account yet?", "haveAccount": "Already have an account?",
    "createAccount": "Create an account",
    "wrongPassword": "Incorrect username or password.",
    "nameTaken": "This username is taken. Choose another one.",
    "nameMissing": "Enter a username.", "nameTooLong": "A username can have at most {n} characters.",
    "passwordTooShort": "A password must have at least {n} characters.",
    "passwordTooLong": "A password can have at most {n} characters.",
    "passwordHelp": "At least {n} characters.",
    "loggedInAs": "You are logged in as {name}",
    "loggedInByPhone": "Approved on a phone. Browser: {browser}",
    "loggedInByPassword": "You logged in with your password.",
    "unknownBrowser": "unknown",
    "approveTitle": "Approve a login",
    "scanHere": "Someone wants to log in",
    "scanHereText": "If you approve, a browser will be logged in to your account at {site}.",
    "scanHereWarning": "Continue only if you started this login on a screen in front of you. If someone sent you the code, close this page.",
    "signInFirst": "Log in on this device first",
    "logInAnother": "Log in another device",
    "byPhone": "Browsers logged in with a phone", "noSessions": "None at the moment.",
    "thisBrowser": "(this browser)", "sessionBegun": "Since", "sessionWhere": "IP address", "sessionPhone": "Approved on",
    "endSession": "Log out there", "endSessions": "Log out all browsers in this list",
    "wentWrong": "Something went wrong",
    "notFound": "Page not found", "toLogin": "Go to the login page", "toHome": "Home",
    "needsJavaScript": "Phone login requires JavaScript.",
    "approveNeedsJavaScript": "This page requires JavaScript, so nothing was approved. Turn JavaScript on and reload this page, or use another browser.",
    "noCode": "If no code appears here, log in with your password.",
    "formTooOld": "This form has expired. Reload the page and try again.",
    "language": "Language",
    "demo": "demo",
    "demoTitle": "Log in with the phone in your pocket",
    "demoScan": "Scan", "demoScanText": "the code with a phone that is already logged in.",
    "demoApprove": "Approve", "demoApproveText": "on the phone, after you check which browser is asking.",
    "demoContinue": "Continue", "demoContinueText": "here, after you check which account approved.",
    "demoNeedsJavaScript": "Phone login requires JavaScript. Turn it on and reload this page, or use another browser.",
    "demoNoPhone": "No phone?", "demoPlayPhone": "Simulate one in a new window",
    "demoNothingReal": "Two made-up users and no passwords. All data is deleted when the demo ends.",
    "demoVouched": "This browser has never seen a password. A phone approved the login.",
    "demoPhone": "Phone", "demoPhoneOf": "{name}’s phone", "demoNobodysPhone": "Demo phone",
    "demoSwitch": "Switch", "demoWhose": "Whose phone is this?",
    "demoWhoseText": "A real phone would already be logged in. In this demo, choose a user.",
    "demoBegunAnew": "The demo has restarted. Whose phone is this?",
    "demoNoAnswer": "The demo is not responding. Is it still running?", "demoAim": "Scan a code",
    "demoAimDesk": "This browser’s login page", "demoAimTerminal": "The demo’s terminal",
    "demoAimType": "Enter a code", "demoAimPaste": "Or paste the content of another QR code", "demoAimScan": "Scan",
    "demoNothingDesk": "No login page in this browser is waiting for a phone.",
    "demoNothingTerminal": "No code is waiting in the terminal.", "demoScanAnother": "Scan another code",
    "demoInTerminal": "Use a phone in a terminal",
    "demoGallery": "Gallery", "demoTheme": "Theme",
    "demoThemeSystem": "System", "demoThemeLight": "Light", "demoThemeDark": "Dark"
  }
};

/** The texts by language. Those of another language than English are empty until it is loaded; what
 * an application has written there stays.
 * @type {Catalogue} */
export const TEXTS = /** @type {any} */ ({ en: ENGLISH });
for (const tag of Object.keys(MODULES))
  TEXTS[/** @type {keyof typeof LANGUAGES} */ (tag)] = { both: {}, login: {}, approve: {}, pages: {} };

/** The language that the nearest `lang` around an element asks for, as a tag of the catalogue. As in
 * `qrlogin.browser`: RFC 4647 section 3.4, and then the same language of another place.
 * @param {Element} element */
function askedLanguage(element) {
  let at = element, found = element.closest("[lang]");
  for (let root = at.getRootNode(); !found && root instanceof ShadowRoot; root = at.getRootNode())
    at = root.host, found = at.closest("[lang]");
  const asked = (found?.getAttribute("lang") ?? "").toLowerCase();
  const tags = [...new Set([...Object.keys(LANGUAGES), ...Object.keys(TEXTS)])];
  /** @type {Record<string, string[]>} */
  const others = LANGUAGES;
  for (let range = asked; range; range = range.slice(0, Math.max(0, range.lastIndexOf("-")))) {
    const tag = tags.find((each) =>
      [each, ...(others[each] ?? [])].some((name) => name.toLowerCase() === range));
    if (tag) return tag;
  }
  return tags.find((each) => primary(each) === primary(asked)) ?? "en";
}

/** The language in which an element is shown: the one that it asks for, or English if that is not
 * loaded. @param {Element} element */
function languageOf(element) {
  const asked = askedLanguage(element), sections = Object.values(TEXTS[asked] ?? {});
  return sections.some((texts) => Object.keys(texts).length) ? asked : "en";
}

/** All texts of one section in the language of an element; English replaces the missing ones. The
 * texts of `both` elements are in it, too.
 * @param {Element} element @param {Section} section
 * @returns {Readonly<Record<string, string>>} */
export function textsFor(element, section) {
  load(askedLanguage(element)); // `lang` may have changed; the next view has its texts
  const english = TEXTS.en, own = TEXTS[languageOf(element)];
  return Object.assign(Object.create(null), english.both, english[section], own?.both,
    own?.[section]);
}

/** @type {Map<string, Promise<void>>} */
const arrivals = new Map();

/** Loads the texts of a language once. The promise does not reject. @param {string} tag */
function load(tag) {
  const module = MODULES[tag];
  if (module && !arrivals.has(tag)) arrivals.set(tag, module().then(({ default: loaded }) => {
    const language = (TEXTS[tag] ??= {});
    for (const [name, texts] of Object.entries(loaded)) {
      const section = /** @type {Section} */ (name), own = { ...language[section] };
      language[section] = Object.assign(language[section] ?? {}, texts, own);
    }
  }).catch((error) => console.warn(`qrlogin: the texts in "${tag}" did not load`, error)));
  return arrivals.get(tag);
}

/** Resolves when the texts of an element are loaded, or after LANGUAGE_MS.
 * @param {Element} element */
export async function languageIsThere(element) {
  const loaded = load(askedLanguage(element));
  if (!loaded) return;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((resolve) => { timer = setTimeout(resolve, LANGUAGE_MS); });
  await Promise.race([loaded, late]);
  clearTimeout(timer);
}

/** A text that depends on a number, in the plural form of the language.
 * @param {Readonly<Record<string, string>>} texts @param {string} key @param {number} n
 * @param {string} language */
export function counted(texts, key, n, language) {
  let form = "other";
  try {
    form = new Intl.PluralRules(language).select(n);
  } catch {
    // an application's language under a name that is no tag
  }
  const text = texts[`${key}_${form}`] ?? texts[`${key}_other`] ?? "";
  return text.replace("{n}", String(n));
}

/** When a login expires, in words that change four times in all.
 * @param {Readonly<Record<string, string>>} texts @param {number} left seconds
 * @param {string} language */
export function expiry(texts, left, language) {
  return left > 30 ? counted(texts, "minutes", Math.ceil(left / 60), language)
    : counted(texts, "seconds", left > 10 ? 30 : 10, language);
}

/** Marks a card with the language of its texts and with their direction. Returns the language.
 * @param {Element} card @param {Element} host the element around it */
export function markLanguage(card, host) {
  const language = languageOf(host);
  card.setAttribute("lang", language);
  card.setAttribute("dir", textsFor(host, "pages").direction);
  return language;
}

/** How long ago something was, in words: "20 seconds ago". Its digits are 0 to 9 in every language,
 * as in all other texts. @param {number} old whole seconds @param {string} language */
export function ago(old, language) {
  const [count, unit] = old < 10 ? [0, /** @type {const} */ ("second")]
    : old < 60 ? [old - (old % 10), /** @type {const} */ ("second")]
    : [Math.floor(old / 60), /** @type {const} */ ("minute")];
  /** @type {Intl.RelativeTimeFormatOptions & {numberingSystem: string}} */
  const options = { numeric: "auto", numberingSystem: "latn" };
  try {
    return new Intl.RelativeTimeFormat(language, options).format(-count, unit);
  } catch {
    return new Intl.RelativeTimeFormat("en", options).format(-count, unit);
  }
}

const primary = (/** @type {string} */ tag) => tag.split("-")[0].toLowerCase();
