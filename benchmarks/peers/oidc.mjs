// oidc-provider with its memory adapter and the device flow. The page on which a person approves
// is left out: POST /approve does what it does at the end, which costs less.
import { Provider } from "oidc-provider";

const port = Number(process.argv[2]);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "tv",
      token_endpoint_auth_method: "none",
      redirect_uris: [],
      response_types: [],
      grant_types: ["urn:ietf:params:oauth:grant-type:device_code"],
    },
  ],
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: false } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
provider.use(async (ctx, next) => {
  if (ctx.path === "/ready") {
    ctx.body = "ready";
    return;
  }
  if (ctx.path !== "/approve") return next();
  const code = await provider.DeviceCode.findByUserCode(ctx.query.user_code.replace(/-/g, ""));
  const grant = new provider.Grant({ accountId: "alice", clientId: code.clientId });
  grant.addOIDCScope("openid");
  const grantId = await grant.save();
  Object.assign(code, { accountId: "alice", grantId, scope: "openid", claims: {}, authTime: 1 });
  await code.save();
  ctx.body = {};
});
provider.listen(port, "127.0.0.1");
