// better-auth with its memory adapter and the plugin for devices.
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { bearer, deviceAuthorization } from "better-auth/plugins";

const port = Number(process.argv[2]);
const tables = { user: [], session: [], account: [], verification: [], deviceCode: [] };
const auth = betterAuth({
  baseURL: `http://127.0.0.1:${port}`,
  secret: "a secret of the benchmark, 32 characters",
  database: memoryAdapter(tables),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  // The generator polls at once. An interval would answer "slow_down".
  plugins: [bearer(), deviceAuthorization({ interval: "0s", verificationUri: "/device" })],
});
const answer = toNodeHandler(auth);
createServer((request, response) => {
  if (request.url === "/ready") return response.end("ready");
  return answer(request, response);
}).listen(port, "127.0.0.1");
