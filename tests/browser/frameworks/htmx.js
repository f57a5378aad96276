import "htmx.org";
import { listen } from "./listen.js";

// The server renders /part/N. A morph changes what differs; a swap replaces the element.
document.getElementById("app").outerHTML = `
  <div id="app" hx-get="/part/0" hx-trigger="load"></div>
  <button id="rerender" hx-get="/part/1" hx-target="#app" hx-swap="innerMorph">Morph</button>
  <button id="remount" hx-get="/part/2" hx-target="#app" hx-swap="innerHTML">Swap</button>
  <output id="heard"></output>`;
window.htmx?.process(document.body);
listen();
