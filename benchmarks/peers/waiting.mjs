// Node's own server, where a browser waits until its id is published in Redis: the floor of a wait.
import { createServer } from "node:http";
import { connect } from "node:net";

const waiting = new Map();
const port = Number(process.argv[2]);
const redis = connect(Number(process.env.REDIS_PORT), "127.0.0.1");
let text = "";
redis.write(`SUBSCRIBE ${process.env.CHANNEL}\r\n`);
redis.on("data", (data) => {
  text += data;
  // A message is *3, $7 message, $n channel, $n id: the last line is the id.
  const lines = text.split("\r\n");
  let at = 0;
  while (at + 7 <= lines.length - 1) {
    if (lines[at + 2] === "message") wake(lines[at + 6]);
    at += lines[at + 2] === "subscribe" ? 6 : 7;
  }
  text = lines.slice(at).join("\r\n");
});

function wake(id) {
  const response = waiting.get(id);
  waiting.delete(id);
  if (response) answer(response, '{"state":"scanned"}');
}

function answer(response, body) {
  const headers = { "Content-Type": "application/json", "Content-Length": body.length };
  response.writeHead(200, headers);
  response.end(body);
}

createServer((request, response) => {
  if (request.url === "/ready") return answer(response, "{}");
  const id = request.url.slice(request.url.lastIndexOf("/") + 1);
  waiting.set(id, response);
  response.on("close", () => waiting.get(id) === response && waiting.delete(id));
}).listen(port, "127.0.0.1", 16384);
