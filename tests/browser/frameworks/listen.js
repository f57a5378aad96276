/** Shows the events of an element that the server rendered. */
export function listen() {
  const hear = (text) => document.getElementById("heard")?.replaceChildren(text);
  addEventListener("qr-login:state", ({ detail }) => hear(detail.state));
  addEventListener("qr-login:redeemed", (event) => {
    event.preventDefault();
    hear(event.detail.body.token);
  });
}
