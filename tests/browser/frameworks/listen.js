/** Shows the events of the elements that the server rendered. */
export function listen() {
  const hear = (text) => document.getElementById("heard")?.replaceChildren(text);
  addEventListener("qr-login:state", ({ detail }) => hear(detail.state));
  addEventListener("qr-approve:state", ({ detail }) => hear(detail.state));
  addEventListener("qr-approve:done", ({ detail }) => hear(`done ${detail.decision}`));
  addEventListener("qr-login:redeemed", (event) => {
    event.preventDefault();
    hear(event.detail.body.token);
  });
}
