// Node's own server with constant answers: its floor.
import { createServer } from "node:http";

createServer((request, response) => {
  request.on("data", () => {}).on("end", () => {
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": 2 });
    response.end("{}");
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
