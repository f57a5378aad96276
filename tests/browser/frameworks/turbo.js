import * as Turbo from "@hotwired/turbo";
import { listen } from "./listen.js";

// The server renders the whole page. A refresh morphs it; a visit to /away and back restores it,
// with a cached preview first.
const here = location.pathname;
document.addEventListener("click", ({ target }) => {
  if (target.id === "rerender") Turbo.session.refresh(location.href);
  if (target.id === "remount") Turbo.visit(location.pathname === "/away" ? here : "/away");
});
listen();
