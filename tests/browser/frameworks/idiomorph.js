import { Idiomorph } from "idiomorph";
import { listen } from "./listen.js";

const part = async (number) => (await fetch(`/part/${number}`)).text();
const app = document.getElementById("app");
app.insertAdjacentHTML("afterend", `
  <button id="rerender">Morph</button><button id="remount">Swap</button>
  <output id="heard"></output>`);
app.innerHTML = await part(0);
document.getElementById("rerender").onclick = async () =>
  Idiomorph.morph(app, await part(1), { morphStyle: "innerHTML" });
document.getElementById("remount").onclick = async () => { app.innerHTML = await part(2); };
listen();
